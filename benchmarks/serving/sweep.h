#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "benchmarks/policies/task.h"
#include "benchmarks/serving/load.h"
#include "benchmarks/serving/statistics.h"

namespace rubato {

struct SweepOptions {
  std::vector<int> concurrency;   ///< levels of the closed loop, in order
  std::vector<double> rates;      ///< levels of the open loop, after those
  int requests = 0;               ///< per level; 0: 32, or 8 times the concurrency if that is more
  int warm_up = 2;                ///< requests before the first level, not counted
  int length = 256;               ///< max_tokens
  std::uint64_t seed = 0;         ///< of question order, arrivals and sampling
  boost::json::object diffusion;  ///< sent with requests; empty: the server's defaults
};

/// The engine's work in a level by its own counters, which include other clients' requests.
struct EngineWork {
  std::optional<double> queue_ms;  ///< mean time from submission to admission
  double forward_passes = 0;       ///< steps, each counted once for every generation in it
  double rows_computed = 0;        ///< summed over layers
};

struct LevelReport {
  LoadLevel level;
  LevelSummary summary;
  std::optional<EngineWork> work;  ///< nothing if the server has no such metrics
};

struct Sweep {
  std::string model;
  std::string server_version;  ///< empty: unknown
  std::vector<LevelReport> levels;
};

struct SweepProgress {
  int done = 0;  ///< requests, of all levels
  int total = 0;
  std::string level;
};

/// The questions of all tasks as chat requests, shuffled and repeated to `count`.
std::vector<std::string> make_bodies(const std::vector<Task>& tasks,
                                     const SweepOptions& options,
                                     const std::string& model,
                                     int count);

/// Applies each level in turn, with the same questions in the same order. Blocks. Errors:
/// kUnavailable, if the server does not answer; the error of a first request that it refuses.
Result<Sweep> run_sweep(const Endpoint& endpoint,
                        const std::vector<Task>& tasks,
                        const SweepOptions& options,
                        const std::function<void(const SweepProgress&)>& progress);

}  // namespace rubato
