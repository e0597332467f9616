#include "runtime/checkpoint/key_reader.h"

#include <limits>

#include "runtime/base/concat.h"
#include "runtime/checkpoint/json_file.h"

namespace rubato {
namespace json = boost::json;

Error bad_key(std::string_view file, std::string_view key, std::string_view what) {
  return {Code::kInvalidArgument, concat(file, ": ", key, " ", what), std::string(key)};
}

KeyReader::KeyReader(std::string file, const json::object& object)
    : file_(std::move(file)), object_(object) {}

void KeyReader::require(std::string_view key, const json::value& expected) {
  const json::value* found = find(key);
  if (found != nullptr && *found != expected) unsupported(key, *found, expected);
}

void KeyReader::expect_unless_absent(std::string_view key, const json::value& expected) {
  const json::value* found = object_.if_contains(key);
  if (found != nullptr && !found->is_null() && *found != expected) {
    unsupported(key, *found, expected);
  }
}

int KeyReader::integer(std::string_view key) {
  const json::value* found = find(key);
  return found == nullptr ? 0 : as_int(key, *found);
}

double KeyReader::number(std::string_view key) {
  const json::value* found = find(key);
  if (found == nullptr) return 0;
  if (found->is_number()) return found->to_number<double>();
  fail(key, concat("is ", shown(*found), "; a number is expected"));
  return 0;
}

DType KeyReader::dtype(std::string_view key, std::string_view newer_key) {
  const bool newer = !object_.contains(key) && object_.contains(newer_key);
  const std::string_view used = newer ? newer_key : key;
  const json::value* found = find(used);
  if (found == nullptr) return DType::kFloat32;
  const json::string* name = found->if_string();
  const auto parsed = name == nullptr ? std::nullopt : parse_dtype(std::string_view(*name));
  if (!parsed) {
    fail(used,
         concat("is ", shown(*found), "; supported are \"bfloat16\", \"float16\", \"float32\""));
  }
  return parsed.value_or(DType::kFloat32);
}

std::vector<TokenId> KeyReader::ids(std::string_view key) {
  const json::value* found = find(key);
  if (found == nullptr) return {};
  const json::array* list = found->if_array();
  if (list == nullptr) return {as_int(key, *found)};
  if (list->empty()) fail(key, "is an empty list; at least one id is expected");
  std::vector<TokenId> all;
  for (const json::value& id : *list) all.push_back(as_int(key, id));
  return all;
}

bool KeyReader::has(std::string_view key) const {
  const json::value* found = object_.if_contains(key);
  return found != nullptr && !found->is_null();
}

const json::value* KeyReader::find(std::string_view key) {
  const json::value* found = object_.if_contains(key);
  if (found == nullptr) fail(key, "is missing");
  return found;
}

int KeyReader::as_int(std::string_view key, const json::value& value) {
  const std::int64_t* number = value.if_int64();
  if (number != nullptr && *number >= std::numeric_limits<int>::min() &&
      *number <= std::numeric_limits<int>::max()) {
    return static_cast<int>(*number);
  }
  fail(key, concat("is ", shown(value), "; a whole number of at most 31 bits is expected"));
  return 0;
}

void KeyReader::unsupported(std::string_view key,
                            const json::value& found,
                            const json::value& supported) {
  fail(key, concat("is ", shown(found), "; supported is ", shown(supported)));
}

void KeyReader::fail(std::string_view key, std::string_view what) {
  if (!error_) error_ = bad_key(file_, key, what);
}

}  // namespace rubato
