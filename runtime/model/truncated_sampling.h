#pragma once

#include <span>

#include "cache/types.h"
#include "parallel/communicator.h"
#include "runtime/model/step_sequence.h"
#include "runtime/model/weights.h"

namespace rubato {

/// An id and its logit.
struct TokenLogit {
  TokenId id = 0;
  double logit = 0;
};

/// Samples a position's token under its sequence's top_p and top_k, at a temperature above 0. Every
/// rank calls it with its own `logits`, all finite, and gets the same answer: ranks exchange a sum
/// for each group of ids, and the ids that may be in the nucleus. Independent of the number of
/// ranks.
TokenLogit sample_truncated(Communicator& communicator,
                            const ModelShape& shape,
                            const StepSequence& sequence,
                            Position position,
                            std::span<const float> logits);

}  // namespace rubato
