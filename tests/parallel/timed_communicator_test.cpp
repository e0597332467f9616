#include "parallel/timed_communicator.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <chrono>

namespace rubato {
namespace {

/// The second of two ranks; the other one is as late as it says. Its collectives leave marks.
class LateCommunicator final : public Communicator {
 public:
  explicit LateCommunicator(std::chrono::milliseconds late) : late_(late) {}

  int rank() const override { return 1; }
  int size() const override { return 2; }
  void all_reduce_sum(at::Tensor& t) override { wait(), t.add_(1); }
  void all_gather(const at::Tensor& mine, at::Tensor& all) override { wait(), all.copy_(mine); }
  void broadcast(at::Tensor& t, int root) override { wait(), t.fill_(root); }

 private:
  void wait() const {
    const auto until = std::chrono::steady_clock::now() + late_;
    while (std::chrono::steady_clock::now() < until) {
    }
  }

  const std::chrono::milliseconds late_;
};

TEST(TimedCommunicator, PassesEverythingOn) {
  Pulse pulse;
  TimedCommunicator timed(std::make_unique<LateCommunicator>(std::chrono::milliseconds(0)), pulse);
  EXPECT_EQ(timed.rank(), 1);
  EXPECT_EQ(timed.size(), 2);
  at::Tensor t = at::zeros({2}), all = at::zeros({2, 2});
  timed.all_reduce_sum(t);
  EXPECT_EQ(t[1].item<float>(), 1);
  timed.all_gather(t, all);
  EXPECT_EQ(all[1][1].item<float>(), 1);
  timed.broadcast(t, 7);
  EXPECT_EQ(t[0].item<float>(), 7);
}

TEST(TimedCommunicator, CountsTheTimeSpentInEachCollective) {
  using std::chrono::milliseconds;
  Pulse pulse;
  TimedCommunicator timed(std::make_unique<LateCommunicator>(milliseconds(2)), pulse);
  EXPECT_EQ(pulse.exchanging(), milliseconds(0));
  at::Tensor t = at::zeros({2}), all = at::zeros({2, 2});
  timed.all_reduce_sum(t);
  EXPECT_GE(pulse.exchanging(), milliseconds(2));
  timed.all_gather(t, all);
  EXPECT_GE(pulse.exchanging(), milliseconds(4));
  timed.broadcast(t, 0);
  EXPECT_GE(pulse.exchanging(), milliseconds(6));
}

}  // namespace
}  // namespace rubato
