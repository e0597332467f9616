#pragma once

#include <cstddef>
#include <string_view>

namespace rubato {

inline constexpr std::string_view kReplacementCharacter = "\xef\xbf\xbd";

enum class Utf8Kind { kCharacter, kIncomplete, kInvalid };

struct Utf8Step {
  Utf8Kind kind = Utf8Kind::kInvalid;
  /// Bytes of the character, or of the maximal invalid part that one U+FFFD replaces.
  std::size_t size = 0;
};

/// What `bytes` (not empty) begins with: a character, a truncated character, or neither.
Utf8Step next_utf8(std::string_view bytes);

}  // namespace rubato
