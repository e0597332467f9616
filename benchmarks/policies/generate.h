#pragma once

#include <chrono>
#include <span>
#include <vector>

#include "runtime/engine/generation.h"

namespace rubato {

/// Generations run to their end, and how long that took.
struct Generations {
  std::vector<std::vector<GenerationUpdate>> updates;  ///< of each request, in order
  std::chrono::steady_clock::duration spent{};  ///< from the first submission to the last update
};

/// Runs `requests` in order, `concurrency` of them at a time. Only generation is timed: updates
/// are stored without being processed. Do not call on the engine thread. Errors: the first with
/// which a generation ended or was refused.
Result<Generations> generate(GenerationClient& client,
                             std::span<const GenerationRequest> requests,
                             int concurrency);

}  // namespace rubato
