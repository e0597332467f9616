#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "http/openai/json_text.h"
#include "runtime/base/concat.h"
#include "runtime/base/error.h"

namespace rubato {

/// The largest count that is accepted; larger ones could overflow.
inline constexpr std::int64_t kMostTokens = 1 << 20;

/// A client's mistake, thrown by the parsing code only and turned into an Error at its border.
struct FieldError {
  Error error;
};

[[noreturn]] inline void reject(const std::string& param,
                                const std::string& message,
                                Code code = Code::kInvalidArgument) {
  throw FieldError{{code, message, param}};
}

/// Runs parsing code that throws FieldError; returns its result, or the error.
template <class Parse>
auto catching_field_errors(const Parse& parse) -> Result<decltype(parse())> {
  try {
    return parse();
  } catch (const FieldError& mistake) {
    return mistake.error;
  }
}

/// Reads one object's fields; null counts as absent. `path` precedes a field's name in messages.
class Fields {
 public:
  explicit Fields(const boost::json::object& object, std::string path = "")
      : object_(object), path_(std::move(path)) {}

  std::string name(const char* key) const { return path_ + key; }

  const boost::json::value* find(const char* key) const {
    const boost::json::value* value = object_.if_contains(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }

  bool boolean(const char* key, bool otherwise) const {
    const auto* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_bool()) reject(name(key), concat("`", name(key), "` must be true or false"));
    return value->get_bool();
  }

  std::optional<std::int64_t> integer(const char* key,
                                      std::int64_t least,
                                      std::int64_t most) const {
    const auto* value = find(key);
    if (value == nullptr) return std::nullopt;
    const bool fits =
        value->is_int64() && value->get_int64() >= least && value->get_int64() <= most;
    if (!fits)
      reject(name(key),
             concat("`",
                    name(key),
                    "` is ",
                    shown(*value),
                    "; it must be an integer from ",
                    least,
                    " to ",
                    most));
    return value->get_int64();
  }

  /// A number in [least, most]; with `above`, in (least, most].
  std::optional<double> number(const char* key,
                               double least,
                               double most,
                               bool above = false) const {
    const auto* value = find(key);
    if (value == nullptr) return std::nullopt;
    const bool is_number = value->is_number();
    const double found = is_number ? value->to_number<double>() : 0;
    if (!is_number || !(above ? found > least : found >= least) || !(found <= most)) {
      reject(name(key),
             concat("`",
                    name(key),
                    "` is ",
                    shown(*value),
                    "; it must be a number ",
                    above ? "above " : "from ",
                    least,
                    " to ",
                    most));
    }
    return found;
  }

  std::optional<std::string> string(const char* key) const {
    const auto* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string()) reject(name(key), concat("`", name(key), "` must be a string"));
    return std::string(value->get_string());
  }

  /// A value for a message, shortened.
  static std::string shown(const boost::json::value& value) {
    constexpr std::size_t kMostShown = 40;
    if (value.is_object() || value.is_array()) return value.is_object() ? "an object" : "a list";
    const std::string text = to_json(value);
    return text.size() <= kMostShown ? text : bounded_utf8(text, kMostShown) + "...";
  }

 private:
  const boost::json::object& object_;
  std::string path_;
};

}  // namespace rubato
