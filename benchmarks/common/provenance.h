#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>

namespace rubato {

/// The machine that numbers were measured on.
struct Machine {
  std::string cpu;  ///< the model, as the kernel names it
  int cores = 0;    ///< that this process may use
  std::int64_t memory_bytes = 0;
};

/// This machine; unknown values are empty or 0.
Machine this_machine();

/// The load average of the last minute; negative if unknown.
double load_average();

/// This process's resident memory; 0 if unknown.
std::int64_t resident_bytes();

/// The source of numbers: everything needed to measure them again.
struct Provenance {
  std::string version;
  std::string commit;   ///< of the sources
  std::string command;  ///< without mpirun
  std::string started;  ///< UTC
  int ranks = 1;        ///< 0: no engine ran in this process, and the next two are unused
  int threads = 1;      ///< per rank
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
