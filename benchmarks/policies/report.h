#pragma once

#include <string>

#include "benchmarks/policies/measurement.h"

namespace rubato {

/// What the numbers were taken on.
struct BenchSetup {
  std::string version;  ///< of this program
  std::string model;
  std::string dtype;
  std::string kernels;  ///< the instruction set
  int ranks = 1;
  int threads = 1;  ///< of a rank
};

/// A table for people: a block a task, a line a contender, and what the columns mean.
std::string to_table(const PolicyComparison& comparison, const BenchSetup& setup);

/// Where the time of the engine's steps went, for people: for each contender over all tasks, a line
/// a kind of step, with microseconds a step by phase.
std::string to_phase_table(const PolicyComparison& comparison);

/// The same as one JSON object, with every parameter and count.
std::string to_json(const PolicyComparison& comparison, const BenchSetup& setup);

}  // namespace rubato
