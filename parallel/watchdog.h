#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string_view>
#include <thread>

namespace rubato {

/// A thread that ends the process, with `kMissedDeadline`, when a call that has no timeout
/// does not return in time because another rank is missing. Time in which this process itself did
/// not run (it or its machine was stopped) does not count. Watches one call at a time.
class Watchdog {
 public:
  /// rank: of this process, for the message.
  explicit Watchdog(int rank);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Watches from its construction to its destruction.
  class Watch {
   public:
    /// what: for the message; outlives this.
    Watch(Watchdog& watchdog, std::string_view what, std::chrono::milliseconds deadline);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    Watchdog& watchdog_;
  };

 private:
  using Clock = std::chrono::steady_clock;

  void run();

  const int rank_;
  std::mutex mutex_;  // guards all below
  std::condition_variable wake_;
  std::string_view what_;  // empty: nothing is watched
  std::chrono::milliseconds deadline_{0}, left_{0};
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace rubato
