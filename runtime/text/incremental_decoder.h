#pragma once

#include <string>

#include "runtime/text/tokenizer.h"

namespace rubato {

/// Decodes ids one at a time into text that never ends within a UTF-8 character. The results joined
/// are `Tokenizer::decode` of all ids. Not thread safe.
class IncrementalDecoder {
 public:
  /// The tokenizer must outlive this.
  IncrementalDecoder(const Tokenizer& tokenizer, bool skip_special)
      : tokenizer_(&tokenizer), skip_special_(skip_special) {}

  /// The text that is certain once `id` is known.
  std::string push(TokenId id);

  /// The rest: U+FFFD for an incomplete character.
  std::string flush();

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_;
  std::string pending_;  // the beginning of a character, at most three bytes
};

}  // namespace rubato
