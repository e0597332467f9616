#include "runtime/engine/coordinator.h"

#include <algorithm>

#include "runtime/base/check.h"
#include "runtime/base/log.h"
#include "runtime/engine/step_budget.h"

namespace rubato {

namespace {

/// Logs an event of a generation's life. `what` must not contain what the client wrote.
template <class... What>
void log_event(SequenceId id, const What&... what) {
  log_debug(concat("generation ", id, ": ", what...));
}

/// Tells a generation that it ended without finishing.
template <class Generation>
void tell(SequenceId id, const Generation& generation, const Error& error) {
  log_event(id, "failed: ", error.message);
  GenerationUpdate news;
  news.stats = generation.stats;
  news.error = error;
  generation.sink.deliver(news);
}

/// Rounded up.
std::int64_t mebibytes(std::int64_t bytes) {
  return (bytes + (1 << 20) - 1) >> 20;
}

}  // namespace

Status check_size(const CoordinatorLimits& limits, const DecodingRequest& request) {
  const std::int64_t canvas_length = request.canvas_length();
  if (canvas_length > limits.max_context) {
    return Error{Code::kTooLong,
                 concat("prompt, max_tokens and suffix together are ",
                        canvas_length,
                        " tokens; the context is ",
                        limits.max_context)};
  }
  if (canvas_length > limits.scheduler.cache_tokens) {
    return Error{Code::kTooLong,
                 concat("a canvas of ",
                        canvas_length,
                        " tokens does not fit the cache of ",
                        limits.scheduler.cache_tokens)};
  }
  if (!request.policy.policy->tests_drift) return {};
  const DriftLimits& drift = limits.drift;
  const std::int64_t most_tracked =
      std::min(std::int64_t{drift.num_layers} * request.policy.track, canvas_length);
  const std::int64_t bytes = most_tracked * canvas_length * drift.bytes_per_pair;
  if (bytes <= drift.max_bytes) return {};
  return Error{Code::kInvalidArgument,
               concat("`diffusion.track` is ",
                      request.policy.track,
                      ": the drift test of a canvas of ",
                      canvas_length,
                      " tokens may then take ",
                      mebibytes(bytes),
                      " MiB; at most ",
                      mebibytes(drift.max_bytes),
                      " are allowed (engine.max_drift_mib)"),
               "diffusion.track"};
}

Status check_queue(const CoordinatorLimits& limits,
                   int waiting,
                   std::int64_t waiting_prompt_tokens,
                   std::int64_t prompt_tokens) {
  if (waiting >= limits.max_queued) {
    return Error{Code::kOverloaded,
                 concat("the queue holds ", limits.max_queued, " generations and is full")};
  }
  if (waiting_prompt_tokens > 0 &&
      waiting_prompt_tokens + prompt_tokens > limits.max_queued_prompt_tokens) {
    return Error{Code::kOverloaded,
                 concat("the queue holds prompts of ",
                        waiting_prompt_tokens,
                        " tokens; at most ",
                        limits.max_queued_prompt_tokens,
                        " may wait")};
  }
  return {};
}

Coordinator::Coordinator(CoordinatorLimits limits,
                         const Pulse* pulse,
                         std::function<Clock::time_point()> now)
    : limits_(limits), pulse_(pulse), now_(std::move(now)), scheduler_(limits.scheduler) {
  status_.ready = true;
  status_.cache_tokens_total = limits.scheduler.cache_tokens;
}

Coordinator::~Coordinator() = default;

Result<GenerationHandle> Coordinator::submit(GenerationRequest request, UpdateSink sink) {
  const Position length = request.canvas_length();
  if (Status status = check_size(limits_, request); !status) return status.error();
  GenerationSink delivery(std::move(sink));
  GenerationHandle handle = delivery.handle();
  {
    const std::lock_guard lock(mutex_);
    if (!accepting_) return Error{Code::kUnavailable, "the server is shutting down"};
    const int waiting = status_.waiting + static_cast<int>(inbox_.size());
    const std::int64_t tokens = request.given_tokens();
    const Status room = check_queue(limits_, waiting, queued_prompt_tokens_, tokens);
    if (!room) return room.error();
    queued_prompt_tokens_ += tokens;
    const bool trace = request.trace;
    inbox_.push_back({{std::move(request), next_id_++, /*slot_begin=*/0},
                      {.sink = std::move(delivery),
                       .trace = trace,
                       .canvas_length = length,
                       .submitted = now_()}});
    outstanding_tokens_ += length;
  }
  wake_.notify_one();
  return handle;
}

EngineStatus Coordinator::status() const {
  const std::lock_guard lock(mutex_);
  EngineStatus status = status_;
  status.waiting += static_cast<int>(inbox_.size());
  status.outstanding_tokens = outstanding_tokens_;
  if (pulse_ == nullptr) return status;
  status.ready = status.ready && pulse_->on_time();
  status.collective_s = std::chrono::duration<double>(pulse_->exchanging()).count();
  status.heartbeat_age_s = pulse_->age().count();
  return status;
}

void Coordinator::shut_down(bool finish_running) {
  {
    const std::lock_guard lock(mutex_);
    accepting_ = false;
    finish_running_ = finish_running && finish_running_;
    status_.ready = false;
  }
  wake_.notify_one();
}

bool Coordinator::wait_for_work(std::chrono::milliseconds heartbeat) {
  std::unique_lock lock(mutex_);
  if (generations_.empty()) {
    wake_.wait_for(lock, heartbeat, [this] { return !inbox_.empty() || !accepting_; });
  }
  if (!finish_running_) {
    lock.unlock();
    fail({Code::kUnavailable, "the server is shutting down"});
    return false;
  }
  return accepting_ || !generations_.empty() || !inbox_.empty();
}

StepPlan Coordinator::next_plan(Batch& batch) {
  take_submissions();
  drop_cancelled();
  drop_overdue();
  StepPlan plan;
  plan.updates = std::exchange(pending_updates_, {});
  plan.releases = std::exchange(pending_releases_, {});
  for (const SequenceId id : plan.releases) RUBATO_CHECK(batch.release(id).ok());
  plan.admissions = scheduler_.admit();
  for (const SequenceSpec& spec : plan.admissions) batch.admit(spec);
  note_admissions(plan.admissions);
  plan.participants = next_participants(batch);
  RUBATO_CHECK(batch.select(plan.participants).ok());
  plan.digest = batch.digest();
  publish_status();
  return plan;
}

std::vector<SequenceId> Coordinator::next_participants(const Batch& batch) {
  std::vector<StepCandidate> candidates;
  for (const SequenceId id : scheduler_.running()) {
    const Sequence& sequence = *batch.find(id);
    const PolicyParams& policy = sequence.spec().policy;
    const SequenceView view = sequence.view();
    const Refresh refresh = policy.policy->refresh(policy, view);
    const std::int64_t keys = canvas_reach(policy, view), pairs = std::ssize(view.tracked) * keys;
    candidates.push_back(
        {.id = id,
         .full_rows = refresh == Refresh::kFull ? keys : 0,
         .waited = generations_.at(id).waited++,
         .drift_bytes = refresh == Refresh::kByDrift ? pairs * limits_.drift.bytes_per_pair : 0});
  }
  std::vector<SequenceId> participants =
      choose_participants(candidates, {limits_.max_full_rows, limits_.drift.max_bytes});
  for (const SequenceId id : participants) generations_.at(id).waited = 0;
  return participants;
}

void Coordinator::take_submissions() {
  std::vector<Submission> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(inbox_);
    status_.waiting += static_cast<int>(taken.size());  // until `publish_status` counts them
  }
  for (Submission& submission : taken) {
    const SequenceSpec& spec = submission.spec;
    log_event(spec.id,
              "submitted with policy ",
              spec.policy.policy->name,
              ", ",
              spec.given_tokens(),
              " tokens given and ",
              spec.max_tokens,
              " to generate");
    generations_.emplace(submission.spec.id, std::move(submission.generation));
    scheduler_.enqueue(std::move(submission.spec));
  }
}

void Coordinator::drop_cancelled() {
  std::vector<SequenceId> cancelled;
  for (const auto& [id, generation] : generations_) {
    if (generation.sink.cancelled()) cancelled.push_back(id);
  }
  for (const SequenceId id : cancelled) {
    log_event(id, "cancelled after ", generations_.at(id).stats.forward_passes, " steps");
    remove(id);
  }
}

void Coordinator::drop_overdue() {
  if (limits_.queue_timeout.count() == 0) return;
  const Clock::time_point now = now_();
  while (const SequenceSpec* first = scheduler_.first_waiting()) {
    const Generation& generation = generations_.at(first->id);
    if (now - generation.submitted < limits_.queue_timeout) return;
    tell(first->id,
         generation,
         {Code::kOverloaded,
          concat("no place came free within ",
                 std::chrono::duration<double>(limits_.queue_timeout).count(),
                 " s")});
    remove(first->id);
  }
}

void Coordinator::remove(SequenceId id) {
  if (scheduler_.remove(id)) pending_releases_.push_back(id);
  const auto generation = generations_.find(id);
  outstanding_tokens_ -= generation->second.canvas_length;
  generations_.erase(generation);
}

void Coordinator::finish_step(Batch& batch, std::vector<SequenceOutcome> outcomes) {
  for (const SequenceOutcome& outcome : outcomes) {
    if (outcome.error) continue;
    RUBATO_CHECK(batch.update(outcome.update).ok());
    count(generations_.at(outcome.update.id), outcome);
  }
  publish_status();  // first, so that a client with an answer sees it counted
  for (SequenceOutcome& outcome : outcomes) {
    const SequenceId id = outcome.update.id;
    const Generation& generation = generations_.at(id);
    if (outcome.error) {
      tell(id, generation, *outcome.error);
      remove(id);
      continue;
    }
    GenerationUpdate news{.commits = outcome.update.commits,
                          .logprobs = std::move(outcome.logprobs),
                          .stats = generation.stats,
                          .trace = {},
                          .finished = batch.find(id)->done(),
                          .error = {}};
    if (generation.trace) {
      news.trace = StepTrace{outcome.boundary,
                             std::move(outcome.similarity),
                             std::move(outcome.tracked),
                             outcome.update.commits};
    }
    pending_updates_.push_back(std::move(outcome.update));
    generation.sink.deliver(news);
    if (!news.finished) continue;
    log_event(id, "finished after ", news.stats.forward_passes, " steps");
    remove(id);
  }
  publish_status();
}

void Coordinator::note_admissions(std::span<const SequenceSpec> admissions) {
  if (admissions.empty()) return;
  const Clock::time_point now = now_();
  for (const SequenceSpec& spec : admissions) {
    counters_.prompt_tokens += spec.given_tokens();
    const std::chrono::duration<double> waited = now - generations_.at(spec.id).submitted;
    counters_.queue_seconds.observe(waited.count());
    log_event(spec.id, "admitted after ", waited.count(), " s");
  }
}

void Coordinator::count(Generation& generation, const SequenceOutcome& outcome) {
  GenerationStats& stats = generation.stats;
  ++stats.forward_passes;
  ++counters_.forward_passes;
  stats.rows_computed += outcome.rows_computed;
  counters_.rows_computed += outcome.rows_computed;
  counters_.generation_tokens += outcome.update.commits.size();
  counters_.commits.observe(static_cast<double>(outcome.update.commits.size()));
  for (const double similarity : outcome.similarity) counters_.similarities.observe(similarity);
  if (outcome.layers_refreshed == 0) return;
  ++stats.refreshes;
  ++counters_.refreshes;
  stats.layers_refreshed += outcome.layers_refreshed;
  counters_.layers_refreshed += outcome.layers_refreshed;
  counters_.boundaries.observe(*outcome.boundary);
}

void Coordinator::publish(const StepTimes& times) {
  const std::lock_guard lock(mutex_);
  status_.times = times;
}

void Coordinator::fail(const Error& error) {
  {
    // First, so that nothing is accepted that gets no answer.
    const std::lock_guard lock(mutex_);
    accepting_ = false;
    status_.ready = false;
  }
  take_submissions();
  for (const auto& [id, generation] : std::exchange(generations_, {})) {
    tell(id, generation, error);
    scheduler_.remove(id);
  }
  outstanding_tokens_ = 0;
  publish_status();
}

void Coordinator::publish_status() {
  const std::lock_guard lock(mutex_);
  status_.running = static_cast<int>(scheduler_.running().size());
  status_.waiting = scheduler_.num_waiting();
  status_.cache_tokens_used = scheduler_.slots().used();
  status_.counters = counters_;
  queued_prompt_tokens_ = scheduler_.waiting_prompt_tokens();
  for (const Submission& submission : inbox_)
    queued_prompt_tokens_ += submission.spec.given_tokens();
}

}  // namespace rubato
