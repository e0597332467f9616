#pragma once

#include <stdexcept>

namespace rubato {

/// Thrown by encoding if the tokenizer's regular expression would take too long on a text. Those of
/// common tokenizers take a few steps per byte.
struct UnsplittableText : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace rubato
