#include "benchmarks/policies/task.h"

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>

#include "runtime/base/concat.h"

namespace rubato {
namespace {

namespace json = boost::json;

Error invalid_tasks(std::string message) {
  return {Code::kInvalidArgument, std::move(message), "--tasks"};
}

/// A string field, or null.
const json::string* text_of(const json::object& record, std::string_view key) {
  const json::value* value = record.if_contains(key);
  return value == nullptr ? nullptr : value->if_string();
}

Result<Question> parse_question(const std::string& line) {
  boost::system::error_code code;
  const json::value value = json::parse(line, code);
  if (code || !value.is_object()) return invalid_tasks("is not a JSON object");
  const json::object& record = value.get_object();
  for (const char* key : {"question", "score", "expected"}) {
    if (text_of(record, key) == nullptr)
      return invalid_tasks(concat("has no string \"", key, "\""));
  }
  Question question;
  question.text = *text_of(record, "question");
  question.expected = *text_of(record, "expected");
  const json::string& score = *text_of(record, "score");
  if (score == "number") return question;
  if (score == "begins") {
    question.scoring = Scoring::kBegins;
    return question;
  }
  if (score != "python") {
    return invalid_tasks(concat("has \"score\": \"",
                                std::string(score),
                                "\"; allowed: \"number\", \"python\", \"begins\""));
  }
  question.scoring = Scoring::kPython;
  const json::string* entry = text_of(record, "entry");
  const json::value* inputs = record.if_contains("inputs");
  if (entry == nullptr || inputs == nullptr || !inputs->is_array())
    return invalid_tasks(
        "needs a string \"entry\" and a list \"inputs\" to be scored by running it");
  question.entry = *entry;
  question.inputs = json::serialize(*inputs);
  return question;
}

std::string list_tasks(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failed)) {
    if (entry.path().extension() == ".jsonl") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  std::string listed;
  for (const std::string& name : names) listed += (listed.empty() ? "" : ", ") + name;
  return listed.empty() ? "none" : listed;
}

}  // namespace

bool Task::needs_python() const {
  return std::ranges::any_of(questions,
                             [](const Question& q) { return q.scoring == Scoring::kPython; });
}

Result<Task> load_task(const std::filesystem::path& folder, const std::string& name) {
  const bool is_file = name.ends_with(".jsonl");
  const std::filesystem::path file =
      is_file ? std::filesystem::path(name) : folder / (name + ".jsonl");
  std::ifstream in(file);
  if (!in) {
    return invalid_tasks(concat("there is no task file ",
                                file.string(),
                                "; the tasks in ",
                                folder.string(),
                                ": ",
                                list_tasks(folder)));
  }
  Task task{file.stem().string(), {}};
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    auto question = parse_question(line);
    if (!question)
      return invalid_tasks(concat(file.string(), ", line ", number, " ", question.error().message));
    task.questions.push_back(*std::move(question));
  }
  if (task.questions.empty()) return invalid_tasks(concat(file.string(), " holds no questions"));
  return task;
}

}  // namespace rubato
