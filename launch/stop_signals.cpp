#include "launch/stop_signals.h"

#include <csignal>
#include <ctime>

#include "runtime/base/check.h"

namespace rubato {
namespace {

// How soon the listener notices that it should end; signals are handled at once.
constexpr timespec kPoll{.tv_sec = 0, .tv_nsec = 100'000'000};

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGUSR1}) sigaddset(&set, number);
  return set;
}

}  // namespace

StopSignals::StopSignals() {
  const sigset_t set = stop_signals();
  const int failure = pthread_sigmask(SIG_BLOCK, &set, nullptr);
  RUBATO_CHECK(failure == 0, "pthread_sigmask ", failure);
}

StopSignals::~StopSignals() {
  stop();
}

void StopSignals::listen(std::function<void(int)> on_signal) {
  listener_ = std::jthread([call = std::move(on_signal)](const std::stop_token& stop) {
    const sigset_t set = stop_signals();
    while (!stop.stop_requested()) {
      const int number = sigtimedwait(&set, nullptr, &kPoll);
      if (number > 0) call(number);
    }
  });
}

void StopSignals::stop() {
  if (!listener_.joinable()) return;
  listener_.request_stop();
  listener_.join();
}

}  // namespace rubato
