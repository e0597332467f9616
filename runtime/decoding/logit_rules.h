#pragma once

#include <span>
#include <vector>

#include "cache/types.h"

namespace rubato {

struct TokenBias {
  TokenId token = 0;
  float bias = 0;

  bool operator==(const TokenBias&) const = default;
};

/// What a request changes in the model's logits before anything is decided from them. Picks,
/// confidences and log-probabilities are all those of the changed logits.
struct LogitRules {
  std::vector<TokenBias> bias = {};  ///< added at every position; no token twice
  std::vector<TokenId> late = {};    ///< not to be committed to the first `min_tokens` positions
  int min_tokens = 0;                ///< counted from the first generated position

  bool operator==(const LogitRules&) const = default;

  bool change(int index) const {
    return !bias.empty() || (index < min_tokens && !late.empty());
  }  ///< whether the logits of the `index`th generated position
};

/// Applies the rules to a rank's slice of the logits of the `index`th generated position (0-based);
/// the slice begins with `first_id`.
void apply_rules(const LogitRules& rules, int index, TokenId first_id, std::span<float> logits);

}  // namespace rubato
