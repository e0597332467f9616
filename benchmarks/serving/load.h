#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "benchmarks/serving/client.h"
#include "benchmarks/serving/sample.h"

namespace rubato {

/// How requests are sent: a fixed number at a time, each after the previous answer (closed loop),
/// or at given times, regardless of the server (open loop).
struct LoadLevel {
  int concurrency = 0;     ///< requests at a time; 0: an open loop
  double rate = 0;         ///< of an open loop: requests a second, on average
  std::uint64_t seed = 0;  ///< of an open loop: seed of the arrival times

  bool closed() const { return concurrency > 0; }
  std::string name() const;  ///< "8 at a time", "2.5/s"
};

/// Sends a chat request for each body, in order, and waits for all answers: one thread, one
/// connection a request. A request that fails is a sample with an error. `on_end` is called after
/// each request with the number that have ended.
std::vector<RequestSample> run_level(const Endpoint& endpoint,
                                     const LoadLevel& level,
                                     std::span<const std::string> bodies,
                                     const std::function<void(int)>& on_end);

}  // namespace rubato
