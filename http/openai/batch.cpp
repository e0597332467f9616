#include "http/openai/batch.h"

#include <boost/json.hpp>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "http/openai/error.h"
#include "http/openai/json_text.h"
#include "http/openai/response.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostDepth = 64;  // of a line's nested objects and lists

// How soon free space in the engine's queue is noticed.
constexpr std::chrono::milliseconds kQueuePoll{10};

/// One line in progress: filled in by the engine thread under the batch's mutex.
struct Line {
  std::int64_t number = 0;
  json::value custom_id = nullptr;
  std::optional<Error> error;
  std::optional<ApiRequest> request;
  std::vector<GenerationHandle> handles;
  std::vector<Answer> answers;
  std::size_t unfinished = 0;

  bool done() const { return unfinished == 0; }
};

class Batch {
 public:
  Batch(const ApiContext& context, GenerationClient& client) : context_(context), client_(client) {}

  /// Reads and submits a line.
  void begin(const std::string& text, std::int64_t number) {
    auto line = std::make_shared<Line>();
    line->number = number;
    Result<ApiRequest> parsed = parse(text, *line);
    std::unique_lock lock(mutex_);
    lines_.push_back(line);
    if (!parsed) {
      line->error = parsed.error();
      return;
    }
    line->request = std::move(parsed).value();
    line->unfinished = line->request->choices.size();
    for (std::size_t i = 0; i < line->unfinished; ++i)
      line->answers.push_back(line->request->new_answer(i, context_.tokenizer));
    for (std::size_t i = 0; i < line->answers.size() && !line->error; ++i) submit(line, i, lock);
  }

  std::size_t in_flight() const { return lines_.size(); }

  /// Waits for the oldest line and removes it.
  std::shared_ptr<Line> finish_oldest() {
    std::unique_lock lock(mutex_);
    const std::shared_ptr<Line> line = lines_.front();
    changed_.wait(lock, [&] { return line->done() || line->error; });
    lines_.pop_front();
    line->handles.clear();
    return line;
  }

 private:
  Result<ApiRequest> parse(const std::string& text, Line& line) {
    boost::system::error_code code;
    json::parse_options options;
    options.max_depth = kMostDepth;
    const json::value value = json::parse(text, code, {}, options);
    if (code || !value.is_object())
      return Error{Code::kInvalidArgument, concat("line ", line.number, " is not a JSON object")};
    const json::object& object = value.get_object();
    if (const auto* id = object.if_contains("custom_id"); id != nullptr && id->is_string())
      line.custom_id = *id;
    if (line.custom_id.is_null())
      return Error{Code::kInvalidArgument, "`custom_id` must be a string", "custom_id"};
    const auto [place, is_new] =
        id_lines_.try_emplace(std::string(line.custom_id.get_string()), line.number);
    if (!is_new) {
      return Error{Code::kInvalidArgument,
                   concat("`custom_id` is the same as that of line ", place->second),
                   "custom_id"};
    }
    const auto* method = object.if_contains("method");
    if (method != nullptr && *method != "POST")
      return Error{Code::kInvalidArgument, "`method` must be \"POST\"", "method"};
    const auto* body = object.if_contains("body");
    if (body == nullptr || !body->is_object())
      return Error{Code::kInvalidArgument, "`body` must be an object", "body"};
    const auto* url = object.if_contains("url");
    const bool chat = url != nullptr && *url == "/v1/chat/completions";
    if (!chat && (url == nullptr || *url != "/v1/completions")) {
      return Error{Code::kInvalidArgument,
                   "`url` must be \"/v1/chat/completions\" or \"/v1/completions\"",
                   "url"};
    }
    auto request = chat ? parse_chat_request(body->get_object(), context_)
                        : parse_completion_request(body->get_object(), context_);
    if (request && request->stream)
      return Error{Code::kInvalidArgument, "a batch has no streams", "stream"};
    return request;
  }

  /// Submits a choice, once the engine's queue has room for it.
  void submit(const std::shared_ptr<Line>& line,
              std::size_t i,
              std::unique_lock<std::mutex>& held) {
    const auto sink = [this, line, i](const GenerationUpdate& update) {
      const std::lock_guard lock(mutex_);
      if (line->answers[i].complete() || line->error) return;
      if (update.error) line->error = update.error;
      line->answers[i].add(update);
      if (line->answers[i].complete()) {
        --line->unfinished;
        line->handles[i].cancel();
      }
      if (line->done() || line->error) changed_.notify_all();
    };
    auto handle = client_.submit(line->request->choices[i], sink);
    while (!handle && handle.error().code == Code::kOverloaded) {
      changed_.wait_for(held, kQueuePoll);
      handle = client_.submit(line->request->choices[i], sink);
    }
    if (handle) {
      line->handles.push_back(std::move(handle).value());
    } else {
      line->error = handle.error();
    }
  }

  const ApiContext& context_;
  GenerationClient& client_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Line>> lines_;       // in input order
  std::map<std::string, std::int64_t> id_lines_;  // the first line with each custom_id
};

json::object result_of(const Line& line, const ServedModel& model) {
  json::object result{{"id", concat("batch_req_", line.number)}, {"custom_id", line.custom_id}};
  const std::string request_id = concat("req-", line.number);
  if (line.error) {
    result["response"] = {{"status_code", http_status(*line.error)},
                          {"request_id", request_id},
                          {"body", make_error(*line.error)}};
    result["error"] = {{"code", to_string(line.error->code)},
                       {"message", bounded_utf8(line.error->message, 1500)}};
  } else {
    result["response"] = {
        {"status_code", 200},
        {"request_id", request_id},
        {"body", make_response(make_head(*line.request, model), *line.request, line.answers)}};
    result["error"] = nullptr;
  }
  return result;
}

}  // namespace

BatchProgress run_batch(std::istream& in,
                        std::ostream& out,
                        const ApiContext& context,
                        GenerationClient& client,
                        int max_concurrent,
                        const std::function<void(const BatchProgress&)>& progress) {
  Batch batch(context, client);
  BatchProgress count;
  const auto write_oldest = [&] {
    const std::shared_ptr<Line> line = batch.finish_oldest();
    out << to_json(result_of(*line, context.model)) << '\n' << std::flush;
    ++count.done;
    count.failed += line->error.has_value();
    progress(count);
  };
  std::string text;
  for (std::int64_t number = 1; out && std::getline(in, text); ++number) {
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    batch.begin(text, number);
    if (batch.in_flight() >= static_cast<std::size_t>(max_concurrent)) write_oldest();
  }
  while (batch.in_flight() > 0) write_oldest();
  return count;
}

}  // namespace rubato
