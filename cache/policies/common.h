#pragma once

#include <vector>

#include "cache/policy.h"

namespace rubato::detail {

/// The window β: the first `window` masked positions, refilled every step, not aligned to blocks.
std::vector<Position> masked_window(const PolicyParams& params, const SequenceView& sequence);

/// The masked positions of the current block.
std::vector<Position> masked_in_block(const SequenceView& sequence);

/// A full forward over the canvas that may commit `eligible`.
StepQuery full_forward(std::vector<Position> eligible);

/// A reuse pass over the positions [begin, end), without refresh.
StepQuery range_reuse(Position begin, Position end, std::vector<Position> eligible);

/// A tracking policy's reuse pass: tracked, then committed last step, then window, each position
/// once. (If a short prompt is tracked as a whole, masked or just committed positions may be among
/// the tracked.)
StepQuery tracked_reuse(const SequenceView& sequence,
                        std::vector<Position> window,
                        Refresh refresh);

/// Elastic-Cache's tracked set: each layer's `track` most-attended positions.
std::vector<Position> follow_each_layer(const PolicyParams& params, const AttentionMass& attention);

}  // namespace rubato::detail
