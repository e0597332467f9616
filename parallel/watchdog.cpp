#include "parallel/watchdog.h"

#include <algorithm>

#include "parallel/deadline.h"

namespace rubato {
namespace {

/// Between two checks; a longer interval counts as at most twice this.
constexpr std::chrono::milliseconds kLook{50};

}  // namespace

Watchdog::Watchdog(int rank) : rank_(rank), thread_([this] { run(); }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Watchdog::run() {
  std::unique_lock lock(mutex_);
  for (auto last = Clock::now(); !wake_.wait_for(lock, kLook, [this] { return ending_; });) {
    const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - last);
    last = Clock::now();
    if (what_.empty()) continue;
    left_ -= std::min(passed, 2 * kLook);
    if (left_.count() <= 0) end_for_missed_deadline(rank_, what_, deadline_);
  }
}

Watchdog::Watch::Watch(Watchdog& watchdog,
                       std::string_view what,
                       std::chrono::milliseconds deadline)
    : watchdog_(watchdog) {
  const std::lock_guard lock(watchdog_.mutex_);
  watchdog_.what_ = what;
  watchdog_.deadline_ = watchdog_.left_ = deadline;
}

Watchdog::Watch::~Watch() {
  const std::lock_guard lock(watchdog_.mutex_);
  watchdog_.what_ = {};
}

}  // namespace rubato
