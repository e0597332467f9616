#pragma once

#include <stdexcept>

namespace rubato {

/// Thrown by encoding where the tokenizer's regular expression would take too long over a text.
/// Those of common tokenizers take a few steps a byte.
struct UnsplittableText : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace rubato
