#pragma once

#include <string>

#include "benchmarks/common/provenance.h"
#include "benchmarks/policies/measurement.h"

namespace rubato {

/// What the numbers were taken on.
struct BenchSetup {
  Provenance provenance;
  std::string model;
  std::string dtype;
  std::int64_t cache_bytes_per_token = 0;  ///< a canvas position in all layers, of all ranks

  /// What the caches of an answer took, on average. A slot is held whatever a policy reads of it.
  double cache_bytes(const Measurement& m) const {
    return m.questions > 0 ? double(m.canvas_positions * cache_bytes_per_token) / m.questions : 0;
  }
};

/// A table for people: a block for each length and task, a line a contender, and what the columns
/// mean.
std::string to_table(const PolicyComparison& comparison, const BenchSetup& setup);

/// How many steps refreshed from which layer up, for people: a line a contender, all tasks.
std::string to_boundary_table(const PolicyComparison& comparison);

/// Where the time of the engine's steps went, for people: for each contender over all tasks, a line
/// a kind of step, with microseconds a step by phase.
std::string to_phase_table(const PolicyComparison& comparison);

/// The same as one JSON object, with every parameter and count; `traces`: and each step of each
/// contender's first question.
std::string to_json(const PolicyComparison& comparison, const BenchSetup& setup, bool traces);

}  // namespace rubato
