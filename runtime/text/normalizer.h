#pragma once

#include <string>
#include <string_view>

namespace rubato {

/// Unicode's normal forms: composed or decomposed; K: compatibility characters replaced as well.
enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

/// `utf8`, which must be valid, in a normal form. Takes time proportional to the text's length,
/// up to a logarithm, for any text.
std::string normalized(std::string_view utf8, NormalForm form);

}  // namespace rubato
