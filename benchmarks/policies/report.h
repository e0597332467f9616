#pragma once

#include <string>

#include "benchmarks/common/provenance.h"
#include "benchmarks/policies/measurement.h"

namespace rubato {

/// The circumstances of a measurement.
struct BenchSetup {
  Provenance provenance;
  std::string model;
  std::string dtype;
  std::int64_t cache_bytes_per_token = 0;  ///< a canvas position in all layers, of all ranks

  /// Average cache memory per answer. A slot is held regardless of what a policy reads from it.
  double cache_bytes(const Measurement& m) const {
    return m.questions > 0 ? double(m.canvas_positions * cache_bytes_per_token) / m.questions : 0;
  }
};

/// A table for people: a block for each length and task, a line per contender, and the meaning of
/// the columns.
std::string to_table(const PolicyComparison& comparison, const BenchSetup& setup);

/// A table for people: how many steps refreshed from which layer up; a line per contender, over all
/// tasks.
std::string to_boundary_table(const PolicyComparison& comparison);

/// A table for people: microseconds per step by phase; for each contender a line per kind of step,
/// over all tasks.
std::string to_phase_table(const PolicyComparison& comparison);

/// The same as one JSON object, with every parameter and count; with `traces` also each step of
/// each contender's first question.
std::string to_json(const PolicyComparison& comparison, const BenchSetup& setup, bool traces);

}  // namespace rubato
