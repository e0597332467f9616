#include "benchmarks/long/step_probe.h"

#include <condition_variable>
#include <mutex>
#include <thread>

namespace rubato {
namespace {

std::int64_t nanoseconds_of(const StepTimes& times) {
  std::int64_t sum = 0;
  for (const PhaseTimes& kind : times.kinds) sum += kind.total();
  return sum;
}

/// What the engine's thread tells the waiting one.
class Recorder {
 public:
  Recorder(GenerationClient& client, const ProbeLimits& limits, const CollectiveClock& collectives)
      : client_(client),
        limits_(limits),
        collectives_(collectives),
        deadline_(std::chrono::steady_clock::now() + limits.budget),
        step_ns_(nanoseconds_of(client.status().times)),
        collective_ns_(collectives()) {}

  /// The engine's thread.
  void add(const GenerationUpdate& update) {
    const std::int64_t step_ns = nanoseconds_of(client_.status().times);
    const std::int64_t collective_ns = collectives_();
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    if (update.error) error_ = update.error;
    if (!update.error) {
      // A boundary at the last layer leaves nothing to refresh.
      const bool refreshed = update.trace && update.stats.refreshes > refreshes_;
      samples_.push_back(
          {.boundary = refreshed ? update.trace->boundary : std::nullopt,
           .milliseconds = static_cast<double>(step_ns - step_ns_) * 1e-6,
           .collective_ms = static_cast<double>(collective_ns - collective_ns_) * 1e-6,
           .rows = update.stats.rows_computed - rows_,
           .tokens = std::ssize(update.commits)});
    }
    step_ns_ = step_ns;
    collective_ns_ = collective_ns;
    rows_ = update.stats.rows_computed;
    refreshes_ = update.stats.refreshes;
    ended_ = error_ || update.finished || enough();
    if (ended_) changed_.notify_one();
  }

  Result<std::vector<StepSample>> wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_; });
    if (error_) return *error_;
    return samples_;
  }

 private:
  bool enough() const {
    const int steps = static_cast<int>(samples_.size());
    return steps >= limits_.steps || (steps >= 2 && std::chrono::steady_clock::now() >= deadline_);
  }

  GenerationClient& client_;
  const ProbeLimits limits_;
  const CollectiveClock collectives_;
  const std::chrono::steady_clock::time_point deadline_;
  std::int64_t step_ns_;  // this and the next three: up to the last step
  std::int64_t collective_ns_;
  std::int64_t rows_ = 0;
  int refreshes_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<StepSample> samples_;
  std::optional<Error> error_;
  bool ended_ = false;
};

void wait_until_idle(const GenerationClient& client) {
  while (true) {
    const EngineStatus status = client.status();
    if (status.running == 0 && status.waiting == 0) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace

Result<std::vector<StepSample>> probe_steps(GenerationClient& client,
                                            const GenerationRequest& request,
                                            const ProbeLimits& limits,
                                            const CollectiveClock& collectives) {
  // Shared with the sink: an update may be under way when the generation is cancelled.
  const auto recorder = std::make_shared<Recorder>(client, limits, collectives);
  auto handle =
      client.submit(request, [recorder](const GenerationUpdate& update) { recorder->add(update); });
  if (!handle) return handle.error();
  auto samples = recorder->wait();
  handle->cancel();
  wait_until_idle(client);
  return samples;
}

}  // namespace rubato
