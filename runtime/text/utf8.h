#pragma once

#include <cstddef>
#include <string_view>

namespace rubato {

inline constexpr std::string_view kReplacementCharacter = "\xef\xbf\xbd";

enum class Utf8Kind { kCharacter, kIncomplete, kInvalid };

struct Utf8Step {
  Utf8Kind kind = Utf8Kind::kInvalid;
  std::size_t size =
      0;  ///< bytes of the character, or of the maximal part that one U+FFFD stands for
};

/// What `bytes` (not empty) begins with: a character, a character that the end cuts off, or
/// neither.
Utf8Step next_utf8(std::string_view bytes);

}  // namespace rubato
