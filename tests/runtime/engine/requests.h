#pragma once

#include "runtime/engine/generation.h"
#include "runtime/engine/sequence.h"

namespace rubato::testing {

/// A request of `prompt_length` + `max_tokens` positions.
inline GenerationRequest request_of(int prompt_length,
                                    int max_tokens,
                                    const char* policy = "elastic") {
  GenerationRequest request;
  request.prompt.assign(prompt_length, 5);
  request.max_tokens = max_tokens;
  request.policy.policy = find_policy(policy);
  return request;
}

inline SequenceSpec spec_of(SequenceId id, const DecodingRequest& request) {
  return {request, id, /*slot_begin=*/0};
}

}  // namespace rubato::testing
