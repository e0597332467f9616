#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "benchmarks/long/step_probe.h"
#include "benchmarks/policies/contender.h"
#include "runtime/checkpoint/model_config.h"

namespace rubato {

struct LongOptions {
  std::vector<int> canvases = {256, 512, 1024, 2048, 4096};  ///< positions, the prompt included
  int prompt = 64;                                           ///< its length, of random ids
  ProbeLimits limits;
  int repeat = 1;  ///< how often each is measured, steps pooled
};

/// The steps of one kind: full (boundary 0), refreshed from a layer up, or reuse only (none).
struct StepSort {
  int count = 0;
  double median_ms = 0;
  double least_ms = 0;
  double most_ms = 0;
  std::int64_t rows = 0;  ///< per step, on average
};

/// What one policy did on one canvas.
struct LongMeasurement {
  int canvas = 0;
  std::string contender;
  GenerationRequest request;
  std::vector<StepSample> steps;    ///< of all repetitions
  std::int64_t resident_bytes = 0;  ///< rank 0's memory afterwards

  double seconds() const;
  std::int64_t tokens() const;
  double tokens_per_second() const;
  double ms_per_step() const;
  double rows_per_step() const;
  double collective_share() const;  ///< of the steps' time
  std::map<std::optional<int>, StepSort> sorts() const;
};

struct LongProgress {
  int canvas = 0;
  std::string contender;
  int done = 0;
  int total = 0;
};

/// Measures every policy on every canvas, in ascending order, the policies in turn for each canvas.
/// A probe of two steps before each canvas touches its memory and is not counted. `ignore_eos` is
/// set. Errors: a parameter that does not exist or is out of range; a generation that failed.
Result<std::vector<LongMeasurement>> measure_long(
    const std::vector<Contender>& contenders,
    const LongOptions& options,
    const ModelConfig& model,
    GenerationClient& client,
    const CollectiveClock& collectives,
    const std::function<void(const LongProgress&)>& progress);

}  // namespace rubato
