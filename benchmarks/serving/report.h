#pragma once

#include <string>
#include <vector>

#include "benchmarks/common/provenance.h"
#include "benchmarks/serving/sweep.h"

namespace rubato {

/// The circumstances of a sweep, besides its options.
struct SweepSetup {
  Provenance provenance;  ///< of this program, not of the server
  std::string url;
  std::vector<std::string> tasks;
};

/// A table for people: a line per level, the meaning of the columns, and the errors.
std::string to_table(const Sweep& sweep, const SweepOptions& options, const SweepSetup& setup);

/// The same as one JSON object, with every parameter.
std::string to_json(const Sweep& sweep, const SweepOptions& options, const SweepSetup& setup);

}  // namespace rubato
