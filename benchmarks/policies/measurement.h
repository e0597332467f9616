#pragma once

#include <string>
#include <vector>

#include "benchmarks/policies/contender.h"
#include "runtime/engine/generation.h"

namespace rubato {

/// What one contender did on one task.
struct Measurement {
  std::string task;
  std::string contender;
  GenerationRequest request;  ///< of the first question: the effective parameters
  int questions = 0;
  int right = 0;
  std::int64_t tokens = 0;     ///< returned: up to and including the stop
  std::int64_t committed = 0;  ///< written to the canvas, behind the stop too
  GenerationStats cost;        ///< of all questions together
  double seconds = 0;          ///< of generation
  StepTimes times;             ///< where the engine's part of them went

  double accuracy() const { return questions > 0 ? static_cast<double>(right) / questions : 0; }
  double tokens_per_second() const { return seconds > 0 ? double(tokens) / seconds : 0; }
  double tokens_per_pass() const {
    return cost.forward_passes > 0 ? double(tokens) / cost.forward_passes : 0;
  }

  /// Adds another measurement's counts.
  void add(const Measurement& other);
};

/// A task that could not be measured, and why.
struct SkippedTask {
  std::string task;
  std::string reason;
};

struct PolicyComparison {
  int length = 0;
  int concurrency = 1;
  std::vector<Measurement> measurements;  ///< by task, then in the contenders' order
  std::vector<SkippedTask> skipped;
};

/// Each contender over all tasks.
std::vector<Measurement> totals(const PolicyComparison& comparison);

}  // namespace rubato
