#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>

namespace rubato {

/// What numbers were taken on.
struct Machine {
  std::string cpu;  ///< the model, as the kernel names it
  int cores = 0;    ///< that this process may use
  std::int64_t memory_bytes = 0;
};

/// This one; empty and 0 where the kernel does not say.
Machine this_machine();

/// How many threads wanted to run, on average over the last minute; negative where the kernel does
/// not say.
double load_average();

/// Memory that this process holds now; 0 where the kernel does not say.
std::int64_t resident_bytes();

/// Where numbers come from: everything a reader needs to take them again.
struct Provenance {
  std::string version;
  std::string commit;   ///< of the sources
  std::string command;  ///< without mpirun
  std::string started;  ///< UTC
  int ranks = 1;        ///< 0: no engine ran in this process; then the next two say nothing
  int threads = 1;      ///< of a rank
  std::string kernels;  ///< the instruction set
  Machine machine;
  double load_before = 0;
  double load_after = 0;
};

/// The time now, "2026-11-24T15:00:00Z".
std::string utc_now();

/// A few lines for the head of a table.
std::string describe(const Provenance& provenance);

/// For a report in JSON.
boost::json::object to_object(const Provenance& provenance);

}  // namespace rubato
