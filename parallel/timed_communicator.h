#pragma once

#include <atomic>
#include <memory>

#include "parallel/communicator.h"

namespace rubato {

/// Another communicator, and the time spent in it: in moving data and in waiting for the ranks that
/// come later. `nanoseconds` on any thread, the rest on the engine thread.
class TimedCommunicator final : public Communicator {
 public:
  explicit TimedCommunicator(std::unique_ptr<Communicator> timed) : timed_(std::move(timed)) {}

  int rank() const override { return timed_->rank(); }
  int size() const override { return timed_->size(); }
  void all_reduce_sum(at::Tensor& t) override;
  void all_gather(const at::Tensor& mine, at::Tensor& all) override;
  void broadcast(at::Tensor& t, int root) override;

  /// In all collectives since the start.
  std::int64_t nanoseconds() const { return nanoseconds_.load(std::memory_order_relaxed); }

 private:
  template <class Collective>
  void time(const Collective& collective);

  const std::unique_ptr<Communicator> timed_;
  std::atomic<std::int64_t> nanoseconds_ = 0;
};

}  // namespace rubato
