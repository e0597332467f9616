#pragma once

#include <span>
#include <string>
#include <vector>

#include "benchmarks/common/provenance.h"
#include "benchmarks/common/statistics.h"
#include "benchmarks/long/measure.h"

namespace rubato {

/// What the numbers were taken on.
struct LongSetup {
  Provenance provenance;
  std::string model;  ///< its name, or what its random weights look like
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

/// Of every policy and sort of step that was seen on two canvases or more.
std::vector<CostGrowth> growths(std::span<const LongMeasurement> measurements);

/// Tables for people: a block a canvas, refreshes by the layer they begin with, growth.
std::string to_table(std::span<const LongMeasurement> measurements, const LongSetup& setup);

/// The same as one JSON object, with every parameter.
std::string to_json(std::span<const LongMeasurement> measurements, const LongSetup& setup);

}  // namespace rubato
