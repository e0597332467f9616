#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "parallel/pulse.h"
#include "runtime/engine/batch.h"
#include "runtime/engine/generation.h"
#include "runtime/engine/messages.h"
#include "runtime/engine/scheduler.h"

namespace rubato {

/// What a step did to one sequence, in the order of `Batch::participants()`.
struct SequenceOutcome {
  SequenceUpdate update;
  std::vector<CommitLogprobs> logprobs = {};  ///< beside `update.commits`, where asked for
  std::optional<int> boundary;                ///< as `StepTrace::boundary`
  int layers_refreshed = 0;                   ///< recomputed for all rows
  std::vector<double> similarity;             ///< of the layers tested
  std::vector<Position> tracked;              ///< queried in this step
  std::int64_t rows_computed = 0;   ///< token rows pushed through a layer, summed over layers
  std::optional<Error> error = {};  ///< set: it ends with this, and only `update.id` is valid
};

/// How much of a rank's memory drift tests may take, and what determines how much they take.
struct DriftLimits {
  std::int64_t max_bytes = std::int64_t{1} << 30;  ///< per step, see `choose_participants`
  std::int64_t bytes_per_pair = 0;                 ///< as `drift_bytes_per_pair`
  int num_layers = 0;                              ///< each of which adds to a tracked set
};

struct CoordinatorLimits {
  SchedulerLimits scheduler;
  std::int64_t max_full_rows = 2048;  ///< per step, see `choose_participants`
  DriftLimits drift = {};
  int max_queued = 256;                             ///< waiting generations; one more is refused
  std::int64_t max_queued_prompt_tokens = 1 << 18;  ///< of those waiting, if more than one is
  std::chrono::milliseconds queue_timeout{0};       ///< how long to wait for a slot; 0: forever
  int max_context = 1024;                           ///< the model's positions
};

/// Whether a request can ever be served. Errors: kTooLong, with its canvas's length and the limit;
/// kInvalidArgument, with what its drift test may take and the limit.
Status check_size(const CoordinatorLimits& limits, const DecodingRequest& request);

/// Whether a generation with a prompt of `prompt_tokens` may join the queue. Errors:
/// kOverloaded, with the limit.
Status check_queue(const CoordinatorLimits& limits,
                   int waiting,
                   std::int64_t waiting_prompt_tokens,
                   std::int64_t prompt_tokens);

/// The engine's interface to the front end, on tensor-parallel rank 0: accepts generations from any
/// thread, makes the step plans, delivers each step's updates. `submit`, `status`, `shut_down` run
/// on any thread, the rest on the engine thread.
class Coordinator final : public GenerationClient {
 public:
  using Clock = std::chrono::steady_clock;

  /// `pulse`: whether the other ranks answer; while they do not, `status` is not ready. Null: not
  /// checked. `now`: the clock that measures queue times.
  explicit Coordinator(CoordinatorLimits limits,
                       const Pulse* pulse = nullptr,
                       std::function<Clock::time_point()> now = Clock::now);
  ~Coordinator() override;

  Result<GenerationHandle> submit(GenerationRequest request, UpdateSink sink) override;
  EngineStatus status() const override;

  /// Refuses new submissions. Accepted generations are finished with `finish_running`; else they
  /// end with kUnavailable.
  void shut_down(bool finish_running);

  /// Waits until there is a step to make, but at most `heartbeat`, after which an empty step shows
  /// that all ranks are alive. False: shut down, and nothing is left to do.
  bool wait_for_work(std::chrono::milliseconds heartbeat);

  /// The next step's plan, already applied to `batch`.
  StepPlan next_plan(Batch& batch);

  /// Applies a step's outcomes to `batch` (they travel to the other ranks with the next plan) and
  /// delivers the updates. A failed generation ends with its error; the others continue.
  void finish_step(Batch& batch, std::vector<SequenceOutcome> outcomes);

  /// Takes the times of all steps so far. Call before delivering a step's updates, so that a client
  /// whose generation has finished sees all its steps in `status` (the last one without its
  /// `finish`).
  void publish(const StepTimes& times);

  /// Ends every generation with `error`: the engine cannot continue.
  void fail(const Error& error);

 private:
  struct Generation {
    GenerationSink sink;
    bool trace = false;
    Position canvas_length = 0;
    Clock::time_point submitted;
    int waited = 0;  ///< consecutive steps that it was left out of
    GenerationStats stats = {};
  };
  struct Submission {
    SequenceSpec spec;
    Generation generation;
  };

  void take_submissions();
  void drop_cancelled();
  void drop_overdue();
  void remove(SequenceId id);
  void note_admissions(std::span<const SequenceSpec> admissions);
  void count(Generation& generation, const SequenceOutcome& outcome);
  std::vector<SequenceId> next_participants(const Batch& batch);
  void publish_status();

  const CoordinatorLimits limits_;
  const Pulse* const pulse_;
  const std::function<Clock::time_point()> now_;

  mutable std::mutex mutex_;  // guards the inbox and the published status
  std::condition_variable wake_;
  std::vector<Submission> inbox_;
  EngineStatus status_;
  std::int64_t queued_prompt_tokens_ = 0;
  bool accepting_ = true;
  bool finish_running_ = true;
  SequenceId next_id_ = 1;
  std::atomic<std::int64_t> outstanding_tokens_ = 0;

  Scheduler scheduler_;                           // engine thread only, like all below
  std::map<SequenceId, Generation> generations_;  // waiting and running
  std::vector<SequenceUpdate> pending_updates_;   // applied here, not yet sent
  std::vector<SequenceId> pending_releases_;
  EngineCounters counters_;
};

}  // namespace rubato
