#pragma once

#include <span>
#include <vector>

#include "cache/types.h"

namespace rubato {

/// What a step's rows attended to.
struct AttentionMass {
  std::span<const float>
      mass;  ///< [layers, canvas_length] row-major, summed over heads and window rows
  Position canvas_length = 0;
  std::span<const Position> masked;  ///< positions, before this step's commits, ascending
};

/// The union of each layer's `track` most-attended positions, ascending. Masked positions count as
/// 0; ties go to the lowest position.
std::vector<Position> most_attended_by_layer(const AttentionMass& attention, int track);

/// The `count` positions with the most attention summed over layers, ascending, without masked
/// ones. Ties go to the lowest position.
std::vector<Position> most_attended_overall(const AttentionMass& attention, int count);

}  // namespace rubato
