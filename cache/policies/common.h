#pragma once

#include <vector>

#include "cache/policy.h"

namespace rubato::detail {

/// The first `window` masked positions: the window β, refilled every step and aligned to nothing.
std::vector<Position> masked_window(const PolicyParams& params, const SequenceView& sequence);

/// The masked positions of the current block.
std::vector<Position> masked_in_block(const SequenceView& sequence);

/// A full forward over the canvas that may commit `eligible`.
StepQuery full_forward(std::vector<Position> eligible);

/// A reuse pass over the positions [begin, end), without refresh.
StepQuery range_reuse(Position begin, Position end, std::vector<Position> eligible);

/// A tracking policy's reuse pass: tracked, then committed last step, then window, each position
/// once. (A short prompt that is tracked whole may put masked or just committed positions among the
/// tracked.)
StepQuery tracked_reuse(const SequenceView& sequence,
                        std::vector<Position> window,
                        Refresh refresh);

/// Elastic-Cache's tracked set: each layer's `track` most-attended positions.
std::vector<Position> follow_each_layer(const PolicyParams& params, const AttentionMass& attention);

}  // namespace rubato::detail
