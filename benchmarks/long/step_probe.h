#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "runtime/engine/generation.h"

namespace rubato {

/// One step of a generation, timed by the engine: without the wait for the next request.
struct StepSample {
  std::optional<int> boundary;  ///< first refreshed layer; none: no refresh; 0: a full forward
  double milliseconds = 0;      ///< including collectives
  double collective_ms = 0;     ///< the part in collectives, including waits for other ranks
  std::int64_t rows = 0;        ///< computed, summed over layers
  std::int64_t tokens = 0;      ///< committed
};

/// The length of a probe.
struct ProbeLimits {
  int steps = 32;
  std::chrono::milliseconds budget{30'000};  ///< no step starts after it, except the first two
};

/// Returns the nanoseconds spent in collectives since the start; called on the engine thread.
using CollectiveClock = std::function<std::int64_t()>;

/// Runs the first steps of a generation alone on an idle engine, cancels it and waits until the
/// engine is idle again. The request needs `trace`. Do not call on the engine thread. Errors: those
/// of the generation.
Result<std::vector<StepSample>> probe_steps(GenerationClient& client,
                                            const GenerationRequest& request,
                                            const ProbeLimits& limits,
                                            const CollectiveClock& collectives);

}  // namespace rubato
