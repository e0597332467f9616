#define PCRE2_CODE_UNIT_WIDTH 8
#include "runtime/text/pre_tokenizer.h"

#include <pcre2.h>

#include "runtime/base/check.h"

namespace rubato {
namespace {

/// The pattern in PCRE2's words. PCRE2 counts U+180E among white space (Perl's older tables);
/// Unicode and the expression library that tokenizers are trained with do not.
std::string with_unicode_spaces(const std::string& pattern) {
  std::string out;
  bool in_class = false;
  for (std::size_t at = 0; at < pattern.size(); ++at) {
    const char sign = pattern[at];
    if (sign == '\\' && at + 1 < pattern.size()) {
      const char escaped = pattern[++at];
      if (escaped == 's') {
        out += in_class ? R"(\t-\r\x{85}\p{Z})" : R"([\t-\r\x{85}\p{Z}])";
      } else if (escaped == 'S') {
        out += in_class ? R"(\S\x{180e})" : R"([\S\x{180e}])";
      } else {
        out += {sign, escaped};
      }
      continue;
    }
    if (sign == '[') in_class = true;
    if (sign == ']') in_class = false;
    out += sign;
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<const PreTokenizer>> PreTokenizer::compile(const std::string& pattern,
                                                                  bool add_prefix_space) {
  std::unique_ptr<PreTokenizer> made(new PreTokenizer);
  made->add_prefix_space_ = add_prefix_space;
  if (!pattern.empty()) {
    const std::string translated = with_unicode_spaces(pattern);
    int code = 0;
    PCRE2_SIZE offset = 0;
    made->code_ = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()),
                                translated.size(),
                                PCRE2_UTF | PCRE2_UCP,
                                &code,
                                &offset,
                                nullptr);
    if (made->code_ == nullptr) {
      PCRE2_UCHAR text[256];
      pcre2_get_error_message(code, text, sizeof text);
      return Error{Code::kInvalidArgument,
                   concat("regular expression, at character ",
                          offset,
                          ": ",
                          reinterpret_cast<const char*>(text))};
    }
    pcre2_jit_compile(static_cast<pcre2_code*>(made->code_),
                      PCRE2_JIT_COMPLETE);  // without it, interpreted
  }
  return std::unique_ptr<const PreTokenizer>(std::move(made));
}

PreTokenizer::~PreTokenizer() {
  pcre2_code_free(static_cast<pcre2_code*>(code_));
}

std::vector<std::string_view> PreTokenizer::split(std::string_view text) const {
  if (code_ == nullptr) return {text};
  const auto* code = static_cast<const pcre2_code*>(code_);
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> match(
      pcre2_match_data_create_from_pattern(code, nullptr), pcre2_match_data_free);
  std::vector<std::string_view> pieces;
  std::size_t done = 0, from = 0;
  while (from < text.size()) {
    const int found = pcre2_match(code,
                                  reinterpret_cast<PCRE2_SPTR>(text.data()),
                                  text.size(),
                                  from,
                                  PCRE2_NO_UTF_CHECK,
                                  match.get(),
                                  nullptr);
    if (found == PCRE2_ERROR_NOMATCH) break;
    RUBATO_CHECK(found > 0, "PCRE2 error ", found);
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match.get());
    if (range[1] == range[0]) {  // an empty match cuts nothing: look one character on
      do ++from;
      while (from < text.size() && (text[from] & 0xc0) == 0x80);
      continue;
    }
    if (range[0] > done) pieces.push_back(text.substr(done, range[0] - done));
    pieces.push_back(text.substr(range[0], range[1] - range[0]));
    done = from = range[1];
  }
  if (done < text.size()) pieces.push_back(text.substr(done));
  return pieces;
}

}  // namespace rubato
