#pragma once

#include <map>
#include <string>
#include <vector>

#include "benchmarks/policies/contender.h"
#include "runtime/engine/generation.h"

namespace rubato {

/// What one contender did on one task at one length.
struct Measurement {
  std::string task;
  std::string contender;
  GenerationRequest request;  ///< of the first question: the effective parameters
  int questions = 0;
  int right = 0;
  std::int64_t tokens = 0;                 ///< returned: up to and including the stop
  std::int64_t committed = 0;              ///< written to the canvas, including behind the stop
  std::int64_t canvas_positions = 0;       ///< prompts and lengths, for which caches are held
  GenerationStats cost;                    ///< of all questions together
  std::map<int, std::int64_t> boundaries;  ///< steps with a refresh, by its first layer
  std::vector<StepTrace> trace;            ///< of the first question
  std::vector<double> seconds;             ///< of generation, for each repetition
  StepTimes times;            ///< the engine's part of them by phase, over all repetitions
  bool repeats_alike = true;  ///< every repetition took the same steps

  int length() const { return request.max_tokens; }
  double accuracy() const { return questions > 0 ? static_cast<double>(right) / questions : 0; }

  /// Of the median repetition.
  double typical_seconds() const;
  double tokens_per_second() const;

  /// The difference between the slowest and the fastest repetition, as a share of the median.
  double spread() const;

  double tokens_per_pass() const {
    return cost.forward_passes > 0 ? double(tokens) / cost.forward_passes : 0;
  }
  double refresh_share() const {
    return cost.forward_passes > 0 ? double(cost.refreshes) / cost.forward_passes : 0;
  }

  /// Adds another measurement's counts and times; keeps the trace.
  void add(const Measurement& other);
};

/// What could not be measured, and why.
struct Skipped {
  std::string task;
  int length = 0;
  std::string reason;
};

struct PolicyComparison {
  std::vector<int> lengths;
  int concurrency = 1;
  int repeat = 1;
  std::vector<Measurement> measurements;  ///< by length, then task, then in the contenders' order
  std::vector<Skipped> skipped;
};

/// Each contender over all tasks, by length.
std::vector<Measurement> totals(const PolicyComparison& comparison);

}  // namespace rubato
