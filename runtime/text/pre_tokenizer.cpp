#define PCRE2_CODE_UNIT_WIDTH 8
#include "runtime/text/pre_tokenizer.h"

#include <pcre2.h>

#include <algorithm>

#include "runtime/base/concat.h"
#include "runtime/text/unsplittable_text.h"

namespace rubato {
namespace {

/// Finds matches within a bounded number of steps: a sensible tokenizer's expression needs a few
/// per byte, while with one like (a+)+b a client's text could block the server.
class Matcher {
 public:
  Matcher(const pcre2_code* code, std::string_view text)
      : code_(code),
        text_(text),
        limits_(pcre2_match_context_create(nullptr), pcre2_match_context_free),
        match_(pcre2_match_data_create_from_pattern(code, nullptr), pcre2_match_data_free) {
    constexpr std::size_t kStepsAByte = 16, kLeastSteps = 10'000, kMostSteps = 1 << 30;
    const std::size_t steps = std::min(kLeastSteps + kStepsAByte * text.size(), kMostSteps);
    pcre2_set_match_limit(limits_.get(), static_cast<std::uint32_t>(steps));
  }

  /// Begin and end of the first match from `from` on; null if there is none.
  const PCRE2_SIZE* find(std::size_t from) const {
    int found = run(from, 0);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = run(from, PCRE2_NO_JIT);
    if (found == PCRE2_ERROR_NOMATCH) return nullptr;
    if (found < 0) {
      throw UnsplittableText(concat(
          "the tokenizer's regular expression gives up on this text (PCRE2 error ", found, ")"));
    }
    return pcre2_get_ovector_pointer(match_.get());
  }

 private:
  int run(std::size_t from, std::uint32_t options) const {
    return pcre2_match(code_,
                       reinterpret_cast<PCRE2_SPTR>(text_.data()),
                       text_.size(),
                       from,
                       PCRE2_NO_UTF_CHECK | options,
                       match_.get(),
                       limits_.get());
  }

  const pcre2_code* code_;
  std::string_view text_;
  std::unique_ptr<pcre2_match_context, decltype(&pcre2_match_context_free)> limits_;
  std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> match_;
};

/// The pattern translated for PCRE2. PCRE2 counts U+180E among white space (Perl's older tables);
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
                                PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C,
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
  const Matcher matcher(static_cast<const pcre2_code*>(code_), text);
  std::vector<std::string_view> pieces;
  std::size_t done = 0, from = 0;
  while (from < text.size()) {
    const PCRE2_SIZE* range = matcher.find(from);
    if (range == nullptr) break;
    if (range[1] == range[0]) {  // an empty match splits nothing: continue one character later
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
