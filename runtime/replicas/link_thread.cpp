#include "runtime/replicas/link_thread.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace rubato {
namespace {

using std::chrono::microseconds;
using Clock = std::chrono::steady_clock;
constexpr microseconds kShortestNap{20}, kLongestNap{1000};
constexpr std::chrono::milliseconds kStall{500};

}  // namespace

LinkThread::LinkThread(Mailbox& mailbox,
                       std::function<void(const Letter&)> receive,
                       std::function<void(bool)> tick)
    : thread_([&mailbox, receive = std::move(receive), tick = std::move(tick)](
                  const std::stop_token& stop) {
        microseconds nap = kShortestNap;
        auto last_look = Clock::now();
        while (!stop.stop_requested()) {
          while (const std::optional<Letter> letter = mailbox.poll()) {
            receive(*letter);
            nap = kShortestNap;
          }
          const auto now = Clock::now();
          tick(now - std::exchange(last_look, now) > kStall);
          std::this_thread::sleep_for(nap);
          nap = std::min(nap * 2, kLongestNap);
        }
      }) {}

void LinkThread::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

}  // namespace rubato
