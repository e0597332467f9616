#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "runtime/base/check.h"
#include "runtime/engine/generation.h"

namespace rubato::testing {

/// An engine in the test's hands: it takes generations and does nothing until it is told to. Any
/// thread. Waiting ends the test program after a while, so that a lost wake-up is a failure.
class FakeClient final : public GenerationClient {
 public:
  Result<GenerationHandle> submit(GenerationRequest request, UpdateSink sink) override {
    const std::lock_guard lock(mutex_);
    if (on_submit) {
      if (std::optional<Error> refused = on_submit(generations_.size())) return *refused;
    }
    auto cancelled = std::make_shared<std::atomic<bool>>(false);
    generations_.push_back({std::move(request), std::move(sink), cancelled});
    submitted_.notify_all();
    return GenerationHandle(std::move(cancelled));
  }

  EngineStatus status() const override { return {.ready = ready}; }

  /// The request that was submitted as number `i`; waits for it.
  const GenerationRequest& request(std::size_t i) { return wait_for(i).request; }

  /// Commits `ids` to positions `from`, `from` + 1, ... of generation i's generated part.
  void commit(std::size_t i, const std::vector<TokenId>& ids, int from, bool finished) {
    const Generation& generation = wait_for(i);
    GenerationUpdate update;
    auto position = static_cast<Position>(generation.request.prompt.size()) + from;
    for (const TokenId id : ids) update.commits.push_back({position++, id});
    update.stats.forward_passes = 1;
    update.finished = finished;
    generation.sink(update);
  }

  /// Any update of generation i.
  void tell(std::size_t i, const GenerationUpdate& update) { wait_for(i).sink(update); }

  void fail(std::size_t i, Error error) {
    GenerationUpdate update;
    update.error = std::move(error);
    wait_for(i).sink(update);
  }

  bool cancelled(std::size_t i) { return wait_for(i).cancelled->load(); }

  /// Waits until generation i's handle has cancelled it.
  void wait_for_cancel(std::size_t i) {
    const Generation& generation = wait_for(i);
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!generation.cancelled->load()) {
      RUBATO_CHECK(std::chrono::steady_clock::now() < deadline, "generation ", i, " lives on");
      std::this_thread::yield();
    }
  }

  std::size_t num_submitted() {
    const std::lock_guard lock(mutex_);
    return generations_.size();
  }

  /// What to answer the n-th submission (from 0) with; nothing: it is taken. Set before the first.
  std::function<std::optional<Error>(std::size_t)> on_submit;
  std::atomic<bool> ready = true;

 private:
  static constexpr std::chrono::seconds kPatience{20};

  struct Generation {
    GenerationRequest request;
    UpdateSink sink;
    std::shared_ptr<std::atomic<bool>> cancelled;
  };

  const Generation& wait_for(std::size_t i) {
    std::unique_lock lock(mutex_);
    const bool came = submitted_.wait_for(lock, kPatience, [&] { return generations_.size() > i; });
    RUBATO_CHECK(came, "generation ", i, " was never submitted");
    return generations_[i];  // a deque's elements stay where they are
  }

  std::mutex mutex_;
  std::condition_variable submitted_;
  std::deque<Generation> generations_;
};

}  // namespace rubato::testing
