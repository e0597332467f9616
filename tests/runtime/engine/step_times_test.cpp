#include "runtime/engine/step_times.h"

#include <gtest/gtest.h>

namespace rubato {
namespace {

using std::chrono::microseconds;

class StepTimerTest : public ::testing::Test {
 protected:
  void wait(int us) { now_ += microseconds(us); }

  StepTimer timer_;
  StepTimer::Clock::time_point now_;
};

TEST_F(StepTimerTest, AddsUpPhasesByKindOfStep) {
  for (const StepKind kind : {StepKind::kReuse, StepKind::kFull, StepKind::kReuse}) {
    timer_.begin(now_);
    wait(3);
    timer_.lap(Phase::kPlan, now_);
    wait(50);
    timer_.lap(Phase::kReuse, now_);
    timer_.count(kind);
  }
  const StepTimes& times = timer_.times();
  EXPECT_EQ(times.of(StepKind::kReuse).steps, 2);
  EXPECT_EQ(times.of(StepKind::kReuse).of(Phase::kPlan), 6000);
  EXPECT_EQ(times.of(StepKind::kReuse).of(Phase::kReuse), 100'000);
  EXPECT_EQ(times.of(StepKind::kReuse).total(), 106'000);
  EXPECT_EQ(times.of(StepKind::kFull).steps, 1);
  EXPECT_EQ(times.of(StepKind::kPartial), PhaseTimes());
}

TEST_F(StepTimerTest, WhatComesAfterTheCountIsAddedToTheSameKindByTheNextStep) {
  timer_.begin(now_);
  wait(10);
  timer_.lap(Phase::kRefresh, now_);
  timer_.count(StepKind::kFull);
  wait(4);
  timer_.lap(Phase::kFinish, now_);
  EXPECT_EQ(timer_.times().of(StepKind::kFull).of(Phase::kFinish), 0);
  wait(1000);  // nothing to do: no phase's time
  timer_.begin(now_);
  EXPECT_EQ(timer_.times().of(StepKind::kFull).of(Phase::kFinish), 4000);
  EXPECT_EQ(timer_.times().of(StepKind::kFull).steps, 1);
  timer_.count(StepKind::kReuse);
  EXPECT_EQ(timer_.times().of(StepKind::kReuse).total(), 0);
}

TEST(StepTimes, DifferencesOfSnapshotsAddUp) {
  StepTimes before, after;
  before.kinds[0] = {.steps = 2, .nanoseconds = {1, 2, 3, 4, 5, 6, 7, 8}};
  after.kinds[0] = {.steps = 5, .nanoseconds = {2, 4, 6, 8, 10, 12, 14, 16}};
  StepTimes difference = after;
  difference -= before;
  EXPECT_EQ(difference.kinds[0], (PhaseTimes{.steps = 3, .nanoseconds = {1, 2, 3, 4, 5, 6, 7, 8}}));
  difference += before;
  EXPECT_EQ(difference, after);
}

TEST(StepTimes, EveryPhaseAndKindHasAName) {
  for (std::size_t i = 0; i < kNumPhases; ++i) EXPECT_STRNE(to_string(Phase(i)), "");
  for (std::size_t i = 0; i < kNumStepKinds; ++i) EXPECT_STRNE(to_string(StepKind(i)), "");
}

}  // namespace
}  // namespace rubato
