#pragma once

#include <vector>

#include "runtime/model/weights.h"

namespace rubato {

/// Cosine and sine of the rotary embedding's angles, [max_positions, head_dim / 2] each.
struct RotaryTable {
  explicit RotaryTable(const ModelShape& shape);

  std::vector<float> cos, sin;
};

}  // namespace rubato
