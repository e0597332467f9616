#include "launch/drain_deadline.h"

#include <gtest/gtest.h>

#include <future>

namespace rubato {
namespace {

constexpr std::chrono::seconds kPatience{20};

TEST(DrainDeadline, CallsOnceTheTimeHasPassed) {
  DrainDeadline deadline;
  std::promise<void> passed;
  deadline.start(std::chrono::milliseconds(1), [&] { passed.set_value(); });
  EXPECT_EQ(passed.get_future().wait_for(kPatience), std::future_status::ready);
}

TEST(DrainDeadline, CancelledBeforehandItIsSilentAndDoesNotWait) {
  bool called = false;
  DrainDeadline deadline;
  deadline.start(std::chrono::hours(1), [&] { called = true; });
  const auto cancelled = std::async(std::launch::async, [&] { deadline.cancel(); });
  EXPECT_EQ(cancelled.wait_for(kPatience), std::future_status::ready);
  EXPECT_FALSE(called);
}

TEST(DrainDeadline, NeedNotBeStarted) {
  DrainDeadline deadline;
  deadline.cancel();
}

}  // namespace
}  // namespace rubato
