#pragma once

#include <memory>

#include "parallel/communicator.h"
#include "parallel/pulse.h"

namespace rubato {

/// Wraps a communicator and reports to `pulse` the time spent in it, moving data or waiting for
/// later ranks. (For a back end that only enqueues: the time that takes.) Engine thread.
class TimedCommunicator final : public Communicator {
 public:
  TimedCommunicator(std::unique_ptr<Communicator> timed, Pulse& pulse)
      : timed_(std::move(timed)), pulse_(pulse) {}

  int rank() const override { return timed_->rank(); }
  int size() const override { return timed_->size(); }
  void all_reduce_sum(at::Tensor& t) override;
  void all_gather(const at::Tensor& mine, at::Tensor& all) override;
  void broadcast(at::Tensor& t, int root) override;

 private:
  template <class Collective>
  void time(const Collective& collective);

  const std::unique_ptr<Communicator> timed_;
  Pulse& pulse_;
};

}  // namespace rubato
