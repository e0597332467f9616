#include "runtime/replicas/link_thread.h"

#include <algorithm>
#include <chrono>

namespace rubato {
namespace {

using std::chrono::microseconds;
constexpr microseconds kShortestNap{20}, kLongestNap{1000};

}  // namespace

LinkThread::LinkThread(Mailbox& mailbox,
                       std::function<void(const Letter&)> receive,
                       std::function<void()> tick)
    : thread_([&mailbox, receive = std::move(receive), tick = std::move(tick)](
                  const std::stop_token& stop) {
        microseconds nap = kShortestNap;
        while (!stop.stop_requested()) {
          while (const std::optional<Letter> letter = mailbox.poll()) {
            receive(*letter);
            nap = kShortestNap;
          }
          tick();
          std::this_thread::sleep_for(nap);
          nap = std::min(nap * 2, kLongestNap);
        }
      }) {}

void LinkThread::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

}  // namespace rubato
