#include "launch/drain_deadline.h"

#include <gtest/gtest.h>

#include <future>

namespace rubato {
namespace {

TEST(DrainDeadline, CallsOnceTheTimeHasPassed) {
  DrainDeadline deadline;
  std::promise<void> passed;
  deadline.start(std::chrono::milliseconds(1), [&] { passed.set_value(); });
  passed.get_future().wait();
}

TEST(DrainDeadline, CancelledBeforehandItIsSilentAndDoesNotWait) {
  bool called = false;
  DrainDeadline deadline;
  deadline.start(std::chrono::hours(1), [&] { called = true; });
  deadline.cancel();
  EXPECT_FALSE(called);
}

TEST(DrainDeadline, NeedNotBeStarted) {
  DrainDeadline deadline;
  deadline.cancel();
}

}  // namespace
}  // namespace rubato
