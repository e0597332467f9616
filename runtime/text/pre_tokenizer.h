#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/error.h"

namespace rubato {

/// Splits text into the pieces within which BPE merges: matches of a regular expression, and the
/// text between them. Const methods may run on several threads at once.
class PreTokenizer {
 public:
  /// An empty pattern leaves the text whole. Errors: kInvalidArgument, with PCRE2's message and
  /// place.
  static Result<std::unique_ptr<const PreTokenizer>> compile(const std::string& pattern,
                                                             bool add_prefix_space);
  ~PreTokenizer();

  /// The pieces of `text`, which is valid UTF-8; they borrow it, and joined they are `text`. Throws
  /// UnsplittableText if the expression would take too many steps.
  std::vector<std::string_view> split(std::string_view text) const;

  bool adds_prefix_space() const { return add_prefix_space_; }

 private:
  PreTokenizer() = default;

  void* code_ = nullptr;  // pcre2_code*
  bool add_prefix_space_ = false;
};

}  // namespace rubato
