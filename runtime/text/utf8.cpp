#include "runtime/text/utf8.h"

#include "runtime/text/tokenizer.h"

namespace rubato {
namespace {

/// How many bytes a character that begins with `lead` takes; 0 if none does.
std::size_t length_of(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  return 0;
}

/// Whether `second` may follow `lead` (no overlong forms, no surrogates, nothing past U+10FFFF).
bool may_follow(unsigned char lead, unsigned char second) {
  if (lead == 0xe0) return second >= 0xa0 && second <= 0xbf;
  if (lead == 0xed) return second >= 0x80 && second <= 0x9f;
  if (lead == 0xf0) return second >= 0x90 && second <= 0xbf;
  if (lead == 0xf4) return second >= 0x80 && second <= 0x8f;
  return second >= 0x80 && second <= 0xbf;
}

}  // namespace

Utf8Step next_utf8(std::string_view bytes) {
  const auto lead = static_cast<unsigned char>(bytes[0]);
  const std::size_t length = length_of(lead);
  if (length == 0) return {Utf8Kind::kInvalid, 1};
  for (std::size_t i = 1; i < length; ++i) {
    if (i == bytes.size()) return {Utf8Kind::kIncomplete, i};
    const auto byte = static_cast<unsigned char>(bytes[i]);
    const bool good = i == 1 ? may_follow(lead, byte) : byte >= 0x80 && byte <= 0xbf;
    if (!good) return {Utf8Kind::kInvalid, i};
  }
  return {Utf8Kind::kCharacter, length};
}

std::string to_valid_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const Utf8Step step = next_utf8(bytes);
    if (step.kind == Utf8Kind::kCharacter) {
      out += bytes.substr(0, step.size);
    } else {
      out += kReplacementCharacter;
    }
    bytes.remove_prefix(step.size);
  }
  return out;
}

}  // namespace rubato
