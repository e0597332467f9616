#pragma once

#include <span>
#include <string>
#include <vector>

#include "benchmarks/common/provenance.h"
#include "benchmarks/common/statistics.h"
#include "benchmarks/long/measure.h"

namespace rubato {

/// The circumstances of a measurement.
struct LongSetup {
  Provenance provenance;
  std::string model;  ///< its name, or its random shape
  bool random = false;
  std::string dtype;
  int num_layers = 0;
  std::int64_t cache_bytes_per_token = 0;  ///< a canvas position in all layers, of all ranks
};

/// How a policy's cost grows with the canvas.
struct CostGrowth {
  std::string contender;
  std::string what;  ///< "step" (on average), "reuse" or "full"
  std::vector<double> canvases;
  std::vector<double> milliseconds;  ///< beside `canvases`
  Growth growth;
};

/// For every policy and kind of step that occurred on at least two canvases.
std::vector<CostGrowth> growths(std::span<const LongMeasurement> measurements);

/// Tables for people: a block per canvas, refreshes by first layer, growth.
std::string to_table(std::span<const LongMeasurement> measurements, const LongSetup& setup);

/// The same as one JSON object, with every parameter.
std::string to_json(std::span<const LongMeasurement> measurements, const LongSetup& setup);

}  // namespace rubato
