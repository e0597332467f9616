#include "launch/drain_deadline.h"

#include <condition_variable>
#include <mutex>

namespace rubato {

void DrainDeadline::start(std::chrono::milliseconds duration, std::function<void()> on_passed) {
  waiter_ = std::jthread([duration, call = std::move(on_passed)](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_for(lock, stop, duration, [] { return false; });
    if (!stop.stop_requested()) call();
  });
}

void DrainDeadline::cancel() {
  waiter_ = std::jthread();  // asks the old one to stop, and joins it
}

}  // namespace rubato
