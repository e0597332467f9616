#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cache/policy.h"
#include "cache/types.h"
#include "runtime/decoding/logit_rules.h"
#include "runtime/decoding/params.h"

namespace rubato {

/// One canvas to fill in: a prompt, masks, a suffix, and how to decode. Value.
struct DecodingRequest {
  std::vector<TokenId> prompt;
  int max_tokens = 16;          ///< length of the canvas's generated part, all MASK at first
  std::vector<TokenId> suffix;  ///< stands behind the generated part
  PolicyParams policy;
  CommitParams commit;
  SamplingParams sampling;
  LogitRules rules;
  int top_logprobs = -1;  ///< alternatives reported with each commit; -1: not even the token's own
  bool ignore_eos = false;

  Position generated_end() const { return static_cast<Position>(prompt.size()) + max_tokens; }
  Position canvas_length() const { return generated_end() + static_cast<Position>(suffix.size()); }
  std::int64_t given_tokens() const { return std::ssize(prompt) + std::ssize(suffix); }
  /// Positions of each block that the generated part is decoded in; the last one may have fewer.
  int block_length() const {
    return policy.policy->by_block ? std::min(policy.block_length, max_tokens) : max_tokens;
  }
  int num_blocks() const { return (max_tokens + block_length() - 1) / block_length(); }
  bool operator==(const DecodingRequest&) const = default;
};

}  // namespace rubato
