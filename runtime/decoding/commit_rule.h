#pragma once

#include <span>
#include <vector>

#include "cache/types.h"
#include "runtime/decoding/params.h"
#include "runtime/decoding/token_logprob.h"

namespace rubato {

/// What the model says of one eligible masked position.
struct Candidate {
  Position position = 0;
  TokenId token = 0;      ///< the pick: argmax, or the noised pick at temperature > 0; may be MASK
  double confidence = 0;  ///< probability of `token` under the un-noised softmax
  TokenId best_unmasked = 0;  ///< the most probable id other than MASK
  double logprob = 0;         ///< of `token`
  double best_unmasked_logprob = 0;
  std::vector<TokenLogprob> top = {};  ///< the most probable tokens, if requested
  bool finite = true;  ///< whether all its logits were finite; if not, only `position` is valid
};

/// How many positions the schedule commits in step `step_in_block` (0-based) of a block that began
/// with `masks` masks and takes `steps` steps: floor(masks / steps), one more in the first masks
/// mod steps, and never less than 1.
int schedule_quota(int masks, int steps, int step_in_block);

/// What a step commits, ascending by position; at least one when there is a candidate
/// (docs/algorithm.md, "Commit rules"). Candidates whose pick is MASK are skipped; if all are,
/// the most confident position takes its best other id. `candidates` are finite and ascend by
/// position; ties in confidence go to the lowest position. `quota` is the result of
/// `schedule_quota`, used by the schedule rule only.
std::vector<Commit> choose_commits(std::span<const Candidate> candidates,
                                   const CommitParams& params,
                                   int quota,
                                   TokenId mask_id);

/// What the model said of each commit; both ascend by position.
std::vector<CommitLogprobs> logprobs_of(std::span<const Commit> commits,
                                        std::span<const Candidate> candidates);

}  // namespace rubato
