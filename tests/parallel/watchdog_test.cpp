#include "parallel/watchdog.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "runtime/base/exit_status.h"

namespace rubato {
namespace {

using std::chrono::milliseconds;

[[noreturn]] void hang() {
  while (true) pause();
}

TEST(WatchdogDeathTest, EndsTheProcessWhoseCallDoesNotReturnAndSaysWhatItWas) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        Watchdog watchdog(3);
        const Watchdog::Watch watch(watchdog, "the start of NCCL", milliseconds(100));
        hang();
      },
      ::testing::ExitedWithCode(kMissedDeadline),
      "rank 3 waited 0.1 s in the start of NCCL");
}

TEST(WatchdogDeathTest, AnEarlierCallsTimeDoesNotCount) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        Watchdog watchdog(0);
        { const Watchdog::Watch watch(watchdog, "a call that returns", milliseconds(100)); }
        const Watchdog::Watch watch(watchdog, "one that does not", milliseconds(200));
        hang();
      },
      ::testing::ExitedWithCode(kMissedDeadline),
      "waited 0.2 s in one that does not");
}

TEST(Watchdog, LetsGoWhatReturnsAndEndsAtOnce) {
  Watchdog watchdog(0);
  for (int call = 0; call < 1000; ++call)
    const Watchdog::Watch watch(watchdog, "a call", std::chrono::hours(1));
}

}  // namespace
}  // namespace rubato
