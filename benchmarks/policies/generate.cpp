#include "benchmarks/policies/generate.h"

#include <condition_variable>
#include <mutex>

namespace rubato {
namespace {

/// What the engine's thread tells the waiting one.
class Board {
 public:
  explicit Board(std::size_t count) : updates_(count) {}

  void post(std::size_t request, const GenerationUpdate& update) {
    const std::lock_guard lock(mutex_);
    updates_[request].push_back(update);
    if (!update.finished && !update.error) return;
    ++ended_;
    if (update.error && !error_) error_ = update.error;
    changed_.notify_one();
  }

  /// Waits until `count` have ended, or one with an error.
  Status wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ended_ >= count || error_; });
    return error_ ? Status(*error_) : Status();
  }

  std::vector<std::vector<GenerationUpdate>> take() { return std::move(updates_); }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::vector<GenerationUpdate>> updates_;
  std::size_t ended_ = 0;
  std::optional<Error> error_;
};

}  // namespace

Result<Generations> generate(GenerationClient& client,
                             std::span<const GenerationRequest> requests,
                             int concurrency) {
  // Shared with the sinks: after an error, generations that still run may write to it.
  const auto board = std::make_shared<Board>(requests.size());
  std::vector<GenerationHandle> handles;
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto at_once = static_cast<std::size_t>(concurrency);
    if (i >= at_once) {
      if (const Status status = board->wait_for(i + 1 - at_once); !status) return status.error();
    }
    auto handle = client.submit(
        requests[i], [board, i](const GenerationUpdate& update) { board->post(i, update); });
    if (!handle) return handle.error();
    handles.push_back(*std::move(handle));
  }
  if (const Status status = board->wait_for(requests.size()); !status) return status.error();
  const auto spent = std::chrono::steady_clock::now() - start;
  return Generations{board->take(), spent};
}

}  // namespace rubato
