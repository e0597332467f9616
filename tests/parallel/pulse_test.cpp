#include "parallel/pulse.h"

#include <gtest/gtest.h>

namespace rubato {
namespace {

using Clock = Pulse::Clock;
constexpr std::chrono::hours kLong{1};

TEST(Pulse, IsOnTimeUntilSomebodyIsWaitedFor) {
  EXPECT_TRUE(Pulse().on_time());
}

TEST(Pulse, IsLateOnceTheOthersShouldHaveAnswered) {
  Pulse pulse;
  pulse.waits(Clock::now() + kLong);
  EXPECT_TRUE(pulse.on_time());
  pulse.waits(Clock::now());
  EXPECT_FALSE(pulse.on_time());
}

TEST(Pulse, IsOnTimeAgainAfterAnAnswer) {
  Pulse pulse;
  pulse.waits(Clock::now());
  pulse.answered(Clock::now());
  EXPECT_TRUE(pulse.on_time());
}

TEST(Pulse, CountsItsAgeFromTheLastAnswer) {
  Pulse pulse;
  pulse.answered(Clock::now() - kLong);
  EXPECT_GE(pulse.age(), kLong);
  pulse.answered(Clock::now());
  EXPECT_LT(pulse.age(), kLong);
}

TEST(Pulse, AddsUpWhatExchangesTook) {
  Pulse pulse;
  EXPECT_EQ(pulse.exchanging(), Clock::duration(0));
  pulse.exchanged(Clock::duration(2));
  pulse.exchanged(Clock::duration(3));
  EXPECT_EQ(pulse.exchanging(), Clock::duration(5));
}

}  // namespace
}  // namespace rubato
