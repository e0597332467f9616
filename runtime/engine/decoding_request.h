#pragma once

#include <vector>

#include "cache/policy.h"
#include "cache/types.h"
#include "runtime/decoding/params.h"

namespace rubato {

/// One canvas to fill in: a prompt, a length and how to decode. Value.
struct DecodingRequest {
  std::vector<TokenId> prompt;
  int max_tokens = 16;  ///< the canvas's generated part, all MASK at first
  PolicyParams policy;
  CommitParams commit;
  SamplingParams sampling;
  bool ignore_eos = false;

  Position canvas_length() const { return static_cast<Position>(prompt.size()) + max_tokens; }
  bool operator==(const DecodingRequest&) const = default;
};

}  // namespace rubato
