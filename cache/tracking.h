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
  std::span<const Position> masked;  ///< of these positions, before this step's commit, ascending
};

/// Each layer's `track` most-attended positions, together, ascending, each once. Masked positions
/// count as 0; ties go to the lowest position.
std::vector<Position> most_attended_by_layer(const AttentionMass& attention, int track);

/// The `count` positions most attended to by all layers together, ascending; masked ones are left
/// out. Ties go to the lowest position.
std::vector<Position> most_attended_overall(const AttentionMass& attention, int count);

}  // namespace rubato
