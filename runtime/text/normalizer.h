#pragma once

#include <string>
#include <string_view>

namespace rubato {

/// Unicode's normal forms: composed or decomposed; K: compatibility characters replaced as well.
enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

/// `utf8`, which must be valid, in a normal form. Takes time in proportion to the text's length
/// (but for a logarithm), whatever the text.
std::string normalized(std::string_view utf8, NormalForm form);

}  // namespace rubato
