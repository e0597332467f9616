#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "runtime/engine/generation.h"

namespace rubato {

/// One step of a generation, by the engine's own clock: waiting for the next request is in none.
struct StepSample {
  std::optional<int> boundary;  ///< first refreshed layer; none: no refresh; 0: a full forward
  double milliseconds = 0;      ///< of the step, its collectives included
  double collective_ms = 0;     ///< of these, in collectives, waiting for other ranks included
  std::int64_t rows = 0;        ///< computed, summed over layers
  std::int64_t tokens = 0;      ///< committed
};

/// How far a probe goes.
struct ProbeLimits {
  int steps = 32;
  std::chrono::milliseconds budget{30'000};  ///< no step begins after it, but for the first two
};

/// Nanoseconds spent in collectives since the start, to be asked on the engine's thread.
using CollectiveClock = std::function<std::int64_t()>;

/// Runs the first steps of a generation alone on an idle engine, cancels it and waits until the
/// engine is idle again. The request needs `trace`. Not on the engine's thread. Errors: those of
/// the generation.
Result<std::vector<StepSample>> probe_steps(GenerationClient& client,
                                            const GenerationRequest& request,
                                            const ProbeLimits& limits,
                                            const CollectiveClock& collectives);

}  // namespace rubato
