#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace rubato {

/// Calls something once a time has passed, on a thread of its own, unless it is cancelled first.
/// One thread starts it, another may cancel it once no start can come any more.
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
