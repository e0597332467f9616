#include "benchmarks/serving/answer_reader.h"

#include <boost/json.hpp>

namespace rubato {
namespace {

namespace json = boost::json;

/// A member of an object; null where there is none, or no object.
const json::value& member(const json::value& value, std::string_view key) {
  static const json::value kNull;
  const json::object* object = value.if_object();
  const json::value* found = object == nullptr ? nullptr : object->if_contains(key);
  return found == nullptr ? kNull : *found;
}

std::int64_t count_of(const json::value& value) {
  const std::int64_t* count = value.if_int64();
  return count == nullptr ? 0 : *count;
}

bool tells_text(const json::value& chunk) {
  const json::array* choices = member(chunk, "choices").if_array();
  if (choices == nullptr || choices->empty()) return false;
  const json::string* content = member(member(choices->front(), "delta"), "content").if_string();
  return content != nullptr && !content->empty();
}

}  // namespace

std::string error_message(std::string_view body) {
  constexpr std::size_t kMost = 200;
  boost::system::error_code code;
  const json::value value = json::parse(body, code);
  const json::string* message =
      code ? nullptr : member(member(value, "error"), "message").if_string();
  return std::string((message == nullptr ? body : std::string_view(*message)).substr(0, kMost));
}

void AnswerReader::add(std::string_view bytes) {
  events_.add(bytes);
  while (const std::optional<std::string> data = events_.next()) read_event(*data);
}

void AnswerReader::read_event(const std::string& data) {
  if (data == "[DONE]") {
    done_ = true;
    return;
  }
  boost::system::error_code code;
  const json::value chunk = json::parse(data, code);
  if (code) {
    error_ = "a chunk is not JSON";
    return;
  }
  if (member(chunk, "error").is_object()) error_ = error_message(data);
  has_text_ = has_text_ || tells_text(chunk);
  const json::value& usage = member(chunk, "usage");
  if (!usage.is_object()) return;
  prompt_tokens_ = count_of(member(usage, "prompt_tokens"));
  output_tokens_ = count_of(member(usage, "completion_tokens"));
}

}  // namespace rubato
