#pragma once

#include <vector>

#include "cache/types.h"

namespace rubato {

struct TokenLogprob {
  TokenId token = 0;
  double logprob = 0;  ///< natural logarithm

  bool operator==(const TokenLogprob&) const = default;
};

/// The model's log-probabilities for a position in the step that committed it.
struct CommitLogprobs {
  double logprob = 0;                  ///< of the committed token
  std::vector<TokenLogprob> top = {};  ///< most probable first, ties by lowest id

  bool operator==(const CommitLogprobs&) const = default;
};

}  // namespace rubato
