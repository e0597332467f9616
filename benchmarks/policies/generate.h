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

/// Runs `requests` in order, `concurrency` of them at a time. What is timed is generation alone:
/// the updates are kept as they come and looked at by nobody. Not on the engine's thread. Errors:
/// the first that a generation ended with or was refused with.
Result<Generations> generate(GenerationClient& client,
                             std::span<const GenerationRequest> requests,
                             int concurrency);

}  // namespace rubato
