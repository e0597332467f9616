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
  int count = 100;                   ///< questions per task, if it has as many
  std::vector<int> lengths = {512};  ///< positions to generate
  int concurrency = 1;               ///< sequences at a time
  int repeat = 1;                    ///< number of timed repetitions
};

struct ComparisonProgress {
  std::string task;
  std::string contender;
  int length = 0;
  int done = 0;  ///< generations, over all lengths, tasks, contenders and repetitions
  int total = 0;
};

/// Asks every contender the same questions on the same engine: only the policy differs. The
/// contenders take turns, a few questions each, so that other load on the machine affects all
/// alike. Questions are sent as chat, exactly as by a client. If there are several lengths, those
/// that do not fit the context are skipped. Blocks; do not call on the engine thread. Errors: a
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
