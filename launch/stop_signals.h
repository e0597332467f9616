#pragma once

#include <functional>
#include <thread>

namespace rubato {

/// Turns SIGTERM, SIGINT and SIGUSR1 (which mpirun forwards) into calls on a thread of its own.
/// Construct it before starting any thread, so that all threads inherit the blocked signals; they
/// stay blocked afterwards.
class StopSignals {
 public:
  /// Blocks the signals in this thread and in those it starts.
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// From now on each signal calls `on_signal(number)`; pending signals do so at once. The callable
  /// must not throw. Call once.
  void listen(std::function<void(int)> on_signal);

  /// No call is made after this returns.
  void stop();

 private:
  std::jthread listener_;
};

}  // namespace rubato
