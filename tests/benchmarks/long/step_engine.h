#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "runtime/engine/generation.h"

namespace rubato::testing {

/// An engine of one generation at a time that makes steps of set cost on a thread of its own: step
/// i is full for i = 0 and refreshes from layer 3 in every fourth step after it; the step behind
/// these finds drift too late to refresh anything. A step takes `canvas` microseconds for each row,
/// one row but for the full ones, and commits one token.
class StepEngine final : public GenerationClient {
 public:
  ~StepEngine() override { join(); }

  Result<GenerationHandle> submit(GenerationRequest request, UpdateSink sink) override {
    requests.push_back(request);
    join();
    auto cancelled = std::make_shared<std::atomic<bool>>(false);
    running_ = true;
    thread_ = std::thread([this, request, sink, cancelled] { run(request, sink, *cancelled); });
    return GenerationHandle(std::move(cancelled));
  }

  EngineStatus status() const override {
    EngineStatus status;
    status.running = running_ ? 1 : 0;
    status.times.kinds[0].nanoseconds[1] = nanoseconds_;
    return status;
  }

  std::int64_t collective_nanoseconds() const { return nanoseconds_ / 4; }

  std::vector<GenerationRequest> requests;
  std::vector<int> steps_made;  ///< of each request
  int fail_at = -1;             ///< a step that ends in an error

 private:
  void run(const GenerationRequest& request,
           const UpdateSink& sink,
           const std::atomic<bool>& cancelled) {
    GenerationUpdate update;
    int step = 0;
    for (; !cancelled && !update.finished && !update.error; ++step) {
      if (step == fail_at) update.error = Error{Code::kInternal, "lost"};
      const int rows = step == 0 ? request.canvas_length() : 1;
      nanoseconds_ += 1000LL * request.canvas_length() * rows;
      update.commits = {{static_cast<Position>(request.prompt.size() + step), 7}};
      update.stats.rows_computed += rows;
      update.trace = StepTrace{};
      if (step % 4 == 0) update.trace->boundary = step == 0 ? 0 : 3;
      if (step % 4 == 0) ++update.stats.refreshes;
      if (step % 4 == 1) update.trace->boundary = 9;
      update.finished = step + 1 == request.max_tokens;
      sink(update);
    }
    steps_made.push_back(step);
    running_ = false;
  }

  void join() {
    if (thread_.joinable()) thread_.join();
  }

  std::thread thread_;
  std::atomic<bool> running_ = false;
  std::atomic<std::int64_t> nanoseconds_ = 0;
};

}  // namespace rubato::testing
