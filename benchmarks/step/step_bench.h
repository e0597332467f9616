#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "benchmarks/common/provenance.h"
#include "runtime/model/model.h"

namespace rubato {

/// A kind of step to measure: `sequences` identical ones.
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

/// What a step takes at the least, on one rank.
struct StepWork {
  double gigabytes = 0;  ///< read: weights of the layers that run and the head's, keys and values
  double teraflop = 0;   ///< of its matrix products and attention
};

struct StepResult {
  StepCase step;
  double median_ms = 0, least_ms = 0;
  StepWork work;
  double floor_ms = 0;  ///< as `floor_ms()`
};

/// What was measured, and where.
struct StepSetup {
  Provenance provenance;
  std::string shape;    ///< as `shape_named` knows it
  std::string dtype;    ///< of weights and caches
  bool float8 = false;  ///< whether the layers' weights are
  std::string device;   ///< as the rank's model describes itself
  HardwareLimits limits;
};

/// The shape of the name: `llada-8b`, `small`, or "D,LAYERS,HEADS,MLP,VOCABULARY".
Result<ModelShape> shape_named(const std::string& name, Storage storage);

StepWork work_of(const ModelShape& shape, const StepCase& step);

/// The longer of reading and computing, as the limits say; 0: not known.
double floor_ms(const StepWork& work, const HardwareLimits& limits);

/// The bytes that the step's drift test takes, which its model must have been told of.
std::int64_t drift_bytes_of(const ModelShape& shape, const StepCase& step);

/// Makes the step `repeat` times after two that do not count: everything that a rank does of it
/// between the coordinator's plan and its commits. The caches of the model hold all sequences.
StepResult measure_step(Model& model,
                        const StepCase& step,
                        int repeat,
                        const HardwareLimits& limits);

/// A few lines for the head of the table.
std::string describe(const StepSetup& setup);

/// A line a result, in columns.
std::string to_table(const std::vector<StepResult>& results);
std::string to_json(const std::vector<StepResult>& results, const StepSetup& setup);

}  // namespace rubato
