#include "runtime/text/incremental_decoder.h"

#include <utility>

#include "runtime/text/utf8.h"

namespace rubato {

std::string IncrementalDecoder::push(TokenId id) {
  if (skip_special_ && tokenizer_->is_special(id)) return {};
  pending_ += tokenizer_->token_bytes(id);
  std::string_view rest = pending_;
  std::string out;
  while (!rest.empty()) {
    const Utf8Step step = next_utf8(rest);
    if (step.kind == Utf8Kind::kIncomplete) break;
    out += step.kind == Utf8Kind::kCharacter ? rest.substr(0, step.size) : kReplacementCharacter;
    rest.remove_prefix(step.size);
  }
  pending_ = std::string(rest);
  return out;
}

std::string IncrementalDecoder::flush() {
  return to_valid_utf8(std::exchange(pending_, {}));
}

}  // namespace rubato
