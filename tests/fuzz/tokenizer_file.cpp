// A tokenizer.json, in which %BYTES% stands for the tokens of the 256 bytes, and text for it behind
// a line "%%": what loads must work.
#include <string>

#include "runtime/base/check.h"
#include "runtime/text/tokenizer.h"
#include "runtime/text/unsplittable_text.h"
#include "tests/fuzz/memory_file.h"
#include "tests/fuzz/targets.h"

namespace rubato::fuzz {
namespace {

/// `"!":0,"\"":1, ...`: GPT-2's spelling of each byte.
std::string byte_tokens() {
  std::string entries;
  int id = 0;
  for (int point = '!'; point < 256 + 68; ++point) {
    if (point > '~' && (point < 0xa1 || point == 0xad)) continue;
    entries += id == 0 ? "\"" : ",\"";
    if (point == '"' || point == '\\') entries += '\\';
    if (point < 0x80) {
      entries += static_cast<char>(point);
    } else {
      entries += {static_cast<char>(0xc0 | point >> 6), static_cast<char>(0x80 | (point & 0x3f))};
    }
    entries += "\":" + std::to_string(id++);
  }
  return entries;
}

std::string with_bytes(std::string_view json) {
  static const std::string bytes = byte_tokens();
  constexpr std::string_view kMark = "%BYTES%";
  std::string out(json);
  const std::size_t at = out.find(kMark);
  if (at != std::string::npos) out.replace(at, kMark.size(), bytes);
  return out;
}

}  // namespace

void tokenizer_file(std::string_view input) {
  constexpr std::string_view kBetween = "\n%%\n";
  const std::size_t at = input.find(kBetween);
  const MemoryFile file(with_bytes(input.substr(0, at)));
  const auto tokenizer = Tokenizer::load(file.path());
  if (!tokenizer.ok()) {
    RUBATO_CHECK(tokenizer.error().message.starts_with(file.path().string()));
    return;
  }
  if (at == std::string_view::npos) return;
  const std::string_view text = input.substr(at + kBetween.size());
  try {
    for (const TokenId id : tokenizer->encode_framed(text))
      RUBATO_CHECK(id >= 0 && id < tokenizer->vocabulary_size(), id);
    tokenizer->decode(tokenizer->encode(text), /*skip_special=*/false);
  } catch (const UnsplittableText&) {  // a slow expression
  }
}

}  // namespace rubato::fuzz
