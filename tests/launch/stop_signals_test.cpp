#include "launch/stop_signals.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <csignal>
#include <future>

namespace rubato {
namespace {

TEST(StopSignals, HandsOutASignalThatCameBeforeAnyoneListened) {
  StopSignals signals;
  kill(getpid(), SIGUSR1);
  std::promise<int> heard;
  signals.listen([&](int number) { heard.set_value(number); });
  EXPECT_EQ(heard.get_future().get(), SIGUSR1);
}

TEST(StopSignals, HandsOutEachKindOfSignal) {
  StopSignals signals;
  for (const int number : {SIGTERM, SIGINT, SIGUSR1}) {
    std::promise<int> heard;
    signals.listen([&](int got) { heard.set_value(got); });
    kill(getpid(), number);
    EXPECT_EQ(heard.get_future().get(), number);
    signals.stop();
  }
}

TEST(StopSignals, IsSilentOnceStopped) {
  int calls = 0;
  {
    StopSignals signals;
    signals.listen([&](int) { ++calls; });
    signals.stop();
    kill(getpid(), SIGTERM);  // stays blocked: the process lives
  }
  EXPECT_EQ(calls, 0);
  StopSignals signals;
  std::promise<int> heard;
  signals.listen([&](int number) { heard.set_value(number); });  // takes the pending one away
  EXPECT_EQ(heard.get_future().get(), SIGTERM);
}

}  // namespace
}  // namespace rubato
