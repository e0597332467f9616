#include "parallel/timed_communicator.h"

#include <chrono>

namespace rubato {

template <class Collective>
void TimedCommunicator::time(const Collective& collective) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  collective();
  const std::chrono::nanoseconds spent = Clock::now() - begin;
  nanoseconds_.fetch_add(spent.count(), std::memory_order_relaxed);
}

void TimedCommunicator::all_reduce_sum(at::Tensor& t) {
  time([&] { timed_->all_reduce_sum(t); });
}

void TimedCommunicator::all_gather(const at::Tensor& mine, at::Tensor& all) {
  time([&] { timed_->all_gather(mine, all); });
}

void TimedCommunicator::broadcast(at::Tensor& t, int root) {
  time([&] { timed_->broadcast(t, root); });
}

}  // namespace rubato
