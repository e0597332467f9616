#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "cache/types.h"
#include "runtime/base/error.h"
#include "runtime/decoding/token_logprob.h"
#include "runtime/engine/decoding_request.h"
#include "runtime/engine/engine_counters.h"
#include "runtime/engine/step_times.h"

namespace rubato {

/// One generation, as the front end submits it. Validated before.
struct GenerationRequest : DecodingRequest {
  bool trace = false;  ///< fill `GenerationUpdate::trace`
};

/// What a step did, for `diffusion.trace`. Positions are canvas positions.
struct StepTrace {
  std::optional<int> boundary;     ///< first refreshed layer; none: no refresh; 0: full forward
  std::vector<double> similarity;  ///< of layers 0 .. boundary - 1, or all; empty where no test ran
  std::vector<Position> tracked;   ///< queried in this step because the step before chose them
  std::vector<Commit> committed;   ///< ascending by position
};

/// What a generation has cost so far.
struct GenerationStats {
  int forward_passes = 0;  ///< steps
  int refreshes = 0;       ///< steps that refreshed at least one layer (full forwards included)
  std::int64_t rows_computed = 0;  ///< token rows pushed through a layer, summed over layers
  std::int64_t layers_refreshed = 0;

  bool operator==(const GenerationStats&) const = default;
};

/// What one step did to a generation. The last update has `finished` or `error` set.
struct GenerationUpdate {
  std::vector<Commit> commits;
  std::vector<CommitLogprobs> logprobs = {};  ///< beside `commits`, where asked for
  GenerationStats stats;                      ///< up to and including this step
  std::optional<StepTrace> trace;
  bool finished = false;       ///< every mask before the first EOS is filled
  std::optional<Error> error;  ///< the generation ended without finishing
};

/// Receives a generation's updates in order, on the engine thread: must not block or throw.
using UpdateSink = std::function<void(const GenerationUpdate&)>;

/// Owns a running generation: cancels it when destroyed. After cancellation the sink receives at
/// most the update that is being delivered. Move-only; any thread.
class GenerationHandle {
 public:
  GenerationHandle() = default;
  explicit GenerationHandle(std::shared_ptr<std::atomic<bool>> cancelled)
      : cancelled_(std::move(cancelled)) {}
  GenerationHandle(GenerationHandle&&) = default;
  GenerationHandle& operator=(GenerationHandle&& other) noexcept {
    cancel();
    cancelled_ = std::move(other.cancelled_);
    return *this;
  }
  ~GenerationHandle() { cancel(); }

  void cancel() {
    if (cancelled_) cancelled_->store(true, std::memory_order_release);
    cancelled_.reset();
  }

 private:
  std::shared_ptr<std::atomic<bool>> cancelled_;
};

/// The engine's side of a generation: delivers its updates until its handle is destroyed. Copies
/// belong to the same generation.
class GenerationSink {
 public:
  explicit GenerationSink(UpdateSink sink)
      : sink_(std::move(sink)), cancelled_(std::make_shared<std::atomic<bool>>(false)) {}

  /// The handle that cancels it; to be taken once.
  GenerationHandle handle() const { return GenerationHandle(cancelled_); }

  /// Any thread.
  bool cancelled() const { return cancelled_->load(std::memory_order_acquire); }

  /// Hands an update to the sink, unless cancelled. On the sink's thread.
  void deliver(const GenerationUpdate& update) const {
    if (!cancelled()) sink_(update);
  }

 private:
  UpdateSink sink_;
  std::shared_ptr<std::atomic<bool>> cancelled_;
};

/// A snapshot of the engine's load and work.
struct EngineStatus {
  bool ready = false;
  int running = 0;  ///< sequences with a slot
  int waiting = 0;  ///< sequences queued for one
  std::int64_t cache_tokens_total = 0;
  std::int64_t cache_tokens_used = 0;
  std::int64_t outstanding_tokens = 0;  ///< canvas positions of all generations not yet ended
  StepTimes times = {};                 ///< of all steps since the start
  EngineCounters counters = {};         ///< since the start
  double collective_s = 0;              ///< in collectives on tensors since the start
  double heartbeat_age_s = 0;           ///< since all ranks of the replica last answered

  bool operator==(const EngineStatus&) const = default;
};

/// The front end's interface to the engine. Any thread.
class GenerationClient {
 public:
  virtual ~GenerationClient() = default;

  /// Queues a generation. Errors: kTooLong (never fits), kOverloaded (queue full), kUnavailable
  /// (not ready, draining).
  virtual Result<GenerationHandle> submit(GenerationRequest request, UpdateSink sink) = 0;

  virtual EngineStatus status() const = 0;

  /// One status for each replica.
  virtual std::vector<EngineStatus> replicas() const { return {status()}; }
};

}  // namespace rubato
