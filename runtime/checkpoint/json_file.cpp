#include "runtime/checkpoint/json_file.h"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_stack.hpp>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>
#include <unordered_set>
#include <vector>

#include "runtime/base/concat.h"

namespace rubato {
namespace {

namespace json = boost::json;

// Builds the value as Boost.JSON's own parser does and keeps the keys of each open object besides,
// to see the second use of one.
class StrictHandler {
 public:
  static constexpr std::size_t max_object_size = json::object::max_size();
  static constexpr std::size_t max_array_size = json::array::max_size();
  static constexpr std::size_t max_key_size = json::string::max_size();
  static constexpr std::size_t max_string_size = json::string::max_size();

  StrictHandler() { stack_.reset(); }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) {
    open_objects_.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t members, json::error_code&) {
    open_objects_.pop_back();
    stack_.push_object(members);
    return true;
  }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(std::size_t elements, json::error_code&) {
    stack_.push_array(elements);
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    key_.append(part.data(), part.size());
    stack_.push_chars(part);
    return true;
  }
  bool on_key(json::string_view part, std::size_t, json::error_code& error) {
    key_.append(part.data(), part.size());
    stack_.push_key(part);
    if (!open_objects_.back().insert(key_).second) {
      doubled_key_ = key_;
      error = json::error::exception;
      return false;
    }
    key_.clear();
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, json::error_code&) {
    stack_.push_chars(part);
    return true;
  }
  bool on_string(json::string_view part, std::size_t, json::error_code&) {
    stack_.push_string(part);
    return true;
  }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t number, json::string_view, json::error_code&) {
    stack_.push_int64(number);
    return true;
  }
  bool on_uint64(std::uint64_t number, json::string_view, json::error_code&) {
    stack_.push_uint64(number);
    return true;
  }
  bool on_double(double number, json::string_view, json::error_code&) {
    stack_.push_double(number);
    return true;
  }
  bool on_bool(bool flag, json::error_code&) {
    stack_.push_bool(flag);
    return true;
  }
  bool on_null(json::error_code&) {
    stack_.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

  json::value release() { return stack_.release(); }
  const std::optional<std::string>& doubled_key() const { return doubled_key_; }

 private:
  json::value_stack stack_;
  std::vector<std::unordered_set<std::string>> open_objects_;
  std::string key_;
  std::optional<std::string> doubled_key_;
};

/// As people and Python write it, "6.0", where Boost.JSON writes 6E0.
std::string number_text(double number) {
  char digits[32];
  const auto written = std::to_chars(digits, std::end(digits), number);
  const std::string_view text(digits, written.ptr);
  const bool whole = text.find_first_not_of("-0123456789") == std::string_view::npos;
  return concat(text, whole ? ".0" : "");
}

Error malformed(std::string_view where, std::string_view what) {
  return {Code::kInvalidArgument, concat(where, ": ", what)};
}

}  // namespace

Result<json::object> parse_json_object(std::string_view text, std::string_view where) {
  try {
    json::basic_parser<StrictHandler> parser{json::parse_options{}};
    json::error_code error;
    const std::size_t read = parser.write_some(false, text.data(), text.size(), error);
    if (const auto& key = parser.handler().doubled_key()) {
      return malformed(where, concat("key ", shown(json::value(*key)), " is given twice"));
    }
    if (!error && read < text.size()) error = json::error::extra_data;
    if (error) {
      return malformed(where, concat("not valid JSON at byte ", read, ": ", error.message()));
    }
    json::value value = parser.handler().release();
    if (!value.is_object())
      return malformed(where, "a JSON object is expected, found " + shown(value));
    return std::move(value.get_object());
  } catch (const std::exception& failure) {
    return malformed(where, concat("cannot be read as JSON: ", failure.what()));
  }
}

Result<json::object> read_json_object(const std::filesystem::path& file, std::uint64_t max_bytes) {
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    return Error{Code::kNotFound, concat(file.string(), ": no such file")};
  }
  if (error) return malformed(file.string(), error.message());
  if (!std::filesystem::is_regular_file(status)) {
    return malformed(file.string(), "not a regular file");
  }
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  if (error) return malformed(file.string(), error.message());
  if (size > max_bytes) {
    return malformed(file.string(),
                     concat("has ", size, " bytes; at most ", max_bytes, " are read"));
  }
  if (size == 0) return malformed(file.string(), "the file is empty");
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return malformed(file.string(), std::generic_category().message(errno));
  std::string text(static_cast<std::size_t>(size), '\0');
  if (!stream.read(text.data(), static_cast<std::streamsize>(text.size()))) {
    return malformed(file.string(), "cannot be read");
  }
  return parse_json_object(text, file.string());
}

std::string shown(const json::value& value) {
  constexpr std::size_t kMaxShown = 80;
  std::string text;
  if (const double* number = value.if_double()) {
    text = number_text(*number);
  } else if (const json::array* list = value.if_array()) {
    for (const json::value& each : *list) {
      if (text.size() > kMaxShown) break;
      text += (text.empty() ? "[" : ",") + shown(each);
    }
    text += text.empty() ? "[]" : "]";
  } else {
    text = json::serialize(value);
  }
  if (text.size() > kMaxShown) text = text.substr(0, kMaxShown) + "...";
  return text;
}

}  // namespace rubato
