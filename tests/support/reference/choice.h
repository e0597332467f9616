#pragma once

#include <vector>

#include "cache/types.h"
#include "runtime/decoding/params.h"
#include "tests/support/reference/margin.h"

namespace rubato::testing::reference {

/// What the model says of one masked position.
struct Pick {
  Position position = 0;
  TokenId token = 0;       ///< the most probable id, or the sampled one; may be MASK
  double confidence = 0;   ///< its probability under the plain softmax
  TokenId best_other = 0;  ///< the most probable id that is not MASK
};

/// The pick of a position from its logits over the whole vocabulary.
Pick pick(const std::vector<double>& logits,
          const SamplingParams& sampling,
          int step,
          Position position,
          TokenId mask_id,
          Margin& margin);

/// Which picks a step commits, ascending by position; `picks` ascend as well. `quota`: how many
/// the schedule wants.
std::vector<Commit> choose(const std::vector<Pick>& picks,
                           const CommitParams& params,
                           int quota,
                           TokenId mask_id,
                           Margin& margin);

}  // namespace rubato::testing::reference
