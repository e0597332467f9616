#pragma once

#include <span>
#include <vector>

#include "cache/types.h"

namespace rubato {

/// The tracked set of the next step: each layer's `track` most-attended positions, together,
/// ascending, each once. `mass`: [layers, canvas_length] row-major, attention summed over heads and
/// window rows. Positions of `masked` (as it stood before this step's commit, ascending) count as
/// 0; ties go to the lowest position.
std::vector<Position> most_attended(std::span<const float> mass,
                                    Position canvas_length,
                                    std::span<const Position> masked,
                                    int track);

}  // namespace rubato
