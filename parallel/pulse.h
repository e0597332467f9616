#pragma once

#include <atomic>
#include <chrono>

namespace rubato {

/// Whether the other ranks answer this one in time, and how long its collectives on tensors take.
/// Written by its engine thread, read by any thread.
class Pulse {
 public:
  using Clock = std::chrono::steady_clock;

  /// The engine thread starts to wait for the others, which are late from `late_from` on.
  void waits(Clock::time_point late_from) {
    late_from_.store(late_from.time_since_epoch().count(), std::memory_order_relaxed);
  }

  /// All have answered.
  void answered(Clock::time_point now) {
    late_from_.store(kNotWaiting, std::memory_order_relaxed);
    answered_at_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  }

  /// A collective on tensors took `spent`, including the wait for other ranks.
  void exchanged(Clock::duration spent) {
    exchanging_.fetch_add(spent.count(), std::memory_order_relaxed);
  }

  /// False while the others keep this rank waiting longer than they should.
  bool on_time() const {
    return Clock::now().time_since_epoch().count() < late_from_.load(std::memory_order_relaxed);
  }

  /// How long ago all ranks last answered.
  std::chrono::duration<double> age() const {
    const Clock::duration since(answered_at_.load(std::memory_order_relaxed));
    return Clock::now().time_since_epoch() - since;
  }

  /// Time spent in collectives on tensors since the start.
  Clock::duration exchanging() const {
    return Clock::duration(exchanging_.load(std::memory_order_relaxed));
  }

 private:
  static constexpr Clock::rep kNotWaiting = Clock::duration::max().count();

  std::atomic<Clock::rep> late_from_{kNotWaiting};
  std::atomic<Clock::rep> answered_at_{Clock::now().time_since_epoch().count()};
  std::atomic<Clock::rep> exchanging_{0};
};

}  // namespace rubato
