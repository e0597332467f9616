#include "http/openai/json_text.h"

#include <array>
#include <boost/json.hpp>
#include <charconv>
#include <cmath>

#include "runtime/text/utf8.h"

namespace rubato {
namespace {

namespace json = boost::json;

void append_number(std::string& out, double number) {
  if (!std::isfinite(number)) {  // JSON cannot represent it
    out += "null";
    return;
  }
  const double size = std::abs(number);
  const bool plain = size == 0 || (size >= 1e-5 && size < 1e15);
  std::array<char, 64> digits;
  const auto end = std::to_chars(digits.begin(),
                                 digits.end(),
                                 number,
                                 plain ? std::chars_format::fixed : std::chars_format::scientific);
  const std::string_view text(digits.begin(), end.ptr);
  out += text;
  if (text.find_first_of(".e") == std::string_view::npos) out += ".0";
}

void append(std::string& out, const json::value& value) {
  if (const json::object* object = value.if_object()) {
    char before = '{';
    for (const auto& [key, member] : *object) {
      out += before;
      out += json::serialize(key);
      out += ':';
      append(out, member);
      before = ',';
    }
    out += object->empty() ? "{}" : "}";
  } else if (const json::array* array = value.if_array()) {
    char before = '[';
    for (const json::value& element : *array) {
      out += before;
      append(out, element);
      before = ',';
    }
    out += array->empty() ? "[]" : "]";
  } else if (value.is_double()) {
    append_number(out, value.get_double());
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

std::string to_json(const json::value& value) {
  std::string out;
  append(out, value);
  return out;
}

std::string bounded_utf8(std::string_view text, std::size_t most) {
  std::string out;
  while (!text.empty()) {
    const Utf8Step step = next_utf8(text);
    const bool sound = step.kind == Utf8Kind::kCharacter;
    const std::string_view piece = sound ? text.substr(0, step.size) : kReplacementCharacter;
    if (out.size() + piece.size() > most) break;
    out += piece;
    text.remove_prefix(step.size);
  }
  return out;
}

}  // namespace rubato
