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

/// A request's changes to the model's logits, made before anything is derived from them. Picks,
/// confidences and log-probabilities are all those of the changed logits.
struct LogitRules {
  std::vector<TokenBias> bias = {};  ///< added at every position; no token twice
  std::vector<TokenId> late = {};    ///< not to be committed to the first `min_tokens` positions
  int min_tokens = 0;                ///< counted from the first generated position

  bool operator==(const LogitRules&) const = default;

  /// Whether the rules change the logits of the `index`th generated position.
  bool change(int index) const { return !bias.empty() || (index < min_tokens && !late.empty()); }
};

/// Applies the rules to a rank's slice of the logits of the `index`th generated position (0-based);
/// the slice begins with `first_id`.
void apply_rules(const LogitRules& rules, int index, TokenId first_id, std::span<float> logits);

}  // namespace rubato
