#pragma once

#include <cstdint>

namespace rubato {

/// A token's id in the vocabulary.
using TokenId = std::int32_t;

/// A 0-based place on a canvas: prompt, then the generated part, then the suffix.
using Position = std::int32_t;

/// A token written to its final place. A committed position is never masked again.
struct Commit {
  Position position = 0;
  TokenId token = 0;

  bool operator==(const Commit&) const = default;
};

}  // namespace rubato
