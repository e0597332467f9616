#include "parallel/timed_communicator.h"

namespace rubato {

template <class Collective>
void TimedCommunicator::time(const Collective& collective) {
  const Pulse::Clock::time_point begin = Pulse::Clock::now();
  collective();
  pulse_.exchanged(Pulse::Clock::now() - begin);
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
