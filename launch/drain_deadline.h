#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace rubato {

/// Calls a function after a given time, on a thread of its own, unless cancelled first. One thread
/// calls `start`; another may call `cancel` once no further `start` is possible.
class DrainDeadline {
 public:
  /// Calls `on_passed` after `duration`. The callable must not throw. At most once.
  void start(std::chrono::milliseconds duration, std::function<void()> on_passed);

  /// No call begins after this returns. The destructor does the same.
  void cancel();

 private:
  std::jthread waiter_;
};

}  // namespace rubato
