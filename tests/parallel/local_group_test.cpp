#include "parallel/local_group.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "runtime/base/exit_status.h"
#include "tests/parallel/collective_checks.h"
#include "tests/support/rank_threads.h"

namespace rubato {
namespace {

class LocalGroupOfSize : public testing::TestWithParam<int> {
 protected:
  /// check(communicator) on each rank's thread.
  void on_each_rank(const std::function<void(Communicator&)>& check) {
    LocalGroup group(GetParam());
    test::run_ranks(GetParam(), [&](int rank) { check(*group.communicator(rank)); });
  }
};

INSTANTIATE_TEST_SUITE_P(, LocalGroupOfSize, testing::Values(1, 2, 3, 4, 5, 8));

TEST_P(LocalGroupOfSize, SumsInABalancedTreeOverRanks) {
  on_each_rank([](Communicator& communicator) {
    for (const std::int64_t count : {1, 7, 256, 257, 5000})
      test::expect_tree_sum(communicator, count);
  });
}

TEST_P(LocalGroupOfSize, ContinuesATreeThatEachRankBegan) {
  if (8 % GetParam() != 0) GTEST_SKIP() << "eight parts do not divide over " << GetParam();
  on_each_rank(test::expect_sum_independent_of_size);
}

TEST_P(LocalGroupOfSize, GathersInRankOrder) {
  on_each_rank(test::expect_gather);
}

TEST_P(LocalGroupOfSize, BroadcastsFromAnyRank) {
  on_each_rank(test::expect_broadcast);
}

TEST_P(LocalGroupOfSize, CarriesFramesOfAnySizeInOrder) {
  LocalGroup group(GetParam());
  test::run_ranks(GetParam(), [&](int rank) {
    test::expect_frames_arrive(*group.control_channel(rank), rank);
  });
}

TEST(LocalGroup, RefusesAFrameOfAnotherStep) {
  LocalGroup group(2);
  test::run_ranks(
      2, [&](int rank) { test::expect_wrong_step_is_refused(*group.control_channel(rank), rank); });
}

// A threadsafe death test runs its statement in a fresh process, where threads may be started.
class LocalGroupDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(LocalGroupDeathTest, EndsWhenARankDoesNotComeToACollective) {
  LocalGroup group(2, std::chrono::milliseconds(20));
  at::Tensor t = at::zeros({4});
  EXPECT_EXIT(group.communicator(1)->all_reduce_sum(t),
              testing::ExitedWithCode(kMissedDeadline),
              "rank 1 waited 0.02 s in an all-reduce");
}

TEST_F(LocalGroupDeathTest, EndsWhenTheCoordinatorSendsNothingWithinAStep) {
  LocalGroup group(2, std::chrono::milliseconds(20));
  EXPECT_EXIT((void)group.control_channel(1)->receive(3, false),
              testing::ExitedWithCode(kMissedDeadline),
              "rank 1 waited 0.02 s in receiving a control message");
}

TEST(SingleCommunicator, LeavesTensorsAsTheyAre) {
  SingleCommunicator communicator;
  at::Tensor t = at::arange(6, at::kFloat), all = at::zeros({1, 6});
  communicator.all_reduce_sum(t);
  communicator.broadcast(t, 0);
  communicator.all_gather(t, all);
  EXPECT_TRUE(t.equal(at::arange(6, at::kFloat)));
  EXPECT_TRUE(all[0].equal(t));
}

TEST(SingleControlChannel, HasNobodyToReceiveFrom) {
  EXPECT_FALSE(SingleControlChannel().receive(0, false).ok());
}

}  // namespace
}  // namespace rubato
