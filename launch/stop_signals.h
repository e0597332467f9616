#pragma once

#include <functional>
#include <thread>

namespace rubato {

/// Turns SIGTERM, SIGINT and SIGUSR1 (what mpirun passes on) into calls on a thread of its own.
/// Make it before any other thread, so that all inherit the blocked signals; they stay blocked
/// afterwards.
class StopSignals {
 public:
  /// Blocks the signals in this thread and all that it starts.
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// From now on each signal calls `on_signal(number)`, earlier ones at once. The callable must not
  /// throw. Call once.
  void listen(std::function<void(int)> on_signal);

  /// No call is made after this returns.
  void stop();

 private:
  std::jthread listener_;
};

}  // namespace rubato
