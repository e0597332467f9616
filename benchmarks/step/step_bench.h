#pragma once

#include <string>
#include <vector>

#include "runtime/model/model.h"

namespace rubato {

/// One kind of step to be measured: `sequences` alike.
struct StepCase {
  int rows = 0;      ///< of a sequence's reuse pass; 0: a refresh of all rows
  int canvas = 0;    ///< positions of a sequence
  int boundary = 0;  ///< a refresh's first layer
  int sequences = 1;
};

/// What the hardware can do; 0: not known.
struct HardwareLimits {
  double gigabytes_per_second = 0;
  double teraflops = 0;
};

struct StepResult {
  StepCase step;
  double median_ms = 0, least_ms = 0;
  double gigabytes = 0;  ///< read at the least: weights of the layers that run, keys and values
  double teraflop = 0;
  double floor_ms = 0;  ///< the longer of reading and computing, as the limits say; 0: not known
};

/// The shape of the name: `llada-8b`, `small`, or "D,LAYERS,HEADS,MLP,VOCABULARY".
Result<ModelShape> shape_named(const std::string& name, Storage storage);

/// Makes the step `repeat` times after two that do not count: everything that a rank does of it
/// between the coordinator's plan and its commits. The caches of the model hold all sequences.
StepResult measure_step(Model& model,
                        const StepCase& step,
                        int repeat,
                        const HardwareLimits& limits);

/// A line a result, in columns.
std::string to_table(const std::vector<StepResult>& results);
std::string to_json(const std::vector<StepResult>& results, const std::string& setup);

}  // namespace rubato
