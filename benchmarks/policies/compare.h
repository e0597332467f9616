#pragma once

#include <functional>
#include <string>
#include <vector>

#include "benchmarks/policies/contender.h"
#include "benchmarks/policies/measurement.h"
#include "benchmarks/policies/python_scorer.h"
#include "benchmarks/policies/task.h"
#include "http/openai/request.h"

namespace rubato {

struct ComparisonOptions {
  int count = 100;                   ///< questions of a task, or as many as it has
  std::vector<int> lengths = {512};  ///< positions to generate
  int concurrency = 1;               ///< sequences at a time
  int repeat = 1;                    ///< how often everything is timed
};

struct ComparisonProgress {
  std::string task;
  std::string contender;
  int length = 0;
  int done = 0;   ///< generations, of all lengths, tasks, contenders and repetitions
  int total = 0;  ///< to come to
};

/// Asks every contender the same questions of the same engine: only the policy differs. The
/// contenders take turns, a few questions each, so that what else the machine does meets all alike.
/// Questions are asked as chat, exactly as a client would. Where there are several lengths, one
/// that the context has no room for is skipped. Blocks; not on the engine's thread. Errors: a
/// parameter that does not exist or is out of range, a generation that failed.
Result<PolicyComparison> compare_policies(
    const std::vector<Task>& tasks,
    const std::vector<Contender>& contenders,
    const ComparisonOptions& options,
    const ApiContext& context,
    GenerationClient& client,
    PythonScorer& python,
    const std::function<void(const ComparisonProgress&)>& progress);

}  // namespace rubato
