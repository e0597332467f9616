#include "runtime/engine/coordinator.h"

#include <algorithm>

#include "runtime/base/check.h"

namespace rubato {

Status check_length(const CoordinatorLimits& limits, std::int64_t canvas_length) {
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
  return {};
}

Coordinator::Coordinator(CoordinatorLimits limits, const Pulse* pulse)
    : limits_(limits), pulse_(pulse), scheduler_(limits.scheduler) {
  status_.ready = true;
  status_.cache_tokens_total = limits.scheduler.cache_tokens;
}

Coordinator::~Coordinator() = default;

Result<GenerationHandle> Coordinator::submit(GenerationRequest request, UpdateSink sink) {
  const Position length = request.canvas_length();
  if (Status status = check_length(limits_, length); !status) return status.error();
  auto cancelled = std::make_shared<std::atomic<bool>>(false);
  {
    const std::lock_guard lock(mutex_);
    if (!accepting_) return Error{Code::kUnavailable, "the server is shutting down"};
    if (status_.waiting + static_cast<int>(inbox_.size()) >= limits_.max_queued) {
      return Error{Code::kOverloaded,
                   concat("the queue holds ", limits_.max_queued, " generations and is full")};
    }
    const bool trace = request.trace;
    inbox_.push_back({{std::move(request), next_id_++, /*slot_begin=*/0},
                      {std::move(sink), cancelled, trace, length, {}}});
    outstanding_tokens_ += length;
  }
  wake_.notify_one();
  return GenerationHandle(std::move(cancelled));
}

EngineStatus Coordinator::status() const {
  const std::lock_guard lock(mutex_);
  EngineStatus status = status_;
  status.waiting += static_cast<int>(inbox_.size());
  status.outstanding_tokens = outstanding_tokens_;
  status.ready = status.ready && (pulse_ == nullptr || pulse_->on_time());
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
  StepPlan plan;
  plan.updates = std::exchange(pending_updates_, {});
  plan.releases = std::exchange(pending_releases_, {});
  for (const SequenceId id : plan.releases) RUBATO_CHECK(batch.release(id).ok());
  plan.admissions = scheduler_.admit();
  for (const SequenceSpec& spec : plan.admissions) batch.admit(spec);
  plan.run = scheduler_.running();
  RUBATO_CHECK(batch.select(plan.run).ok());
  plan.digest = batch.digest();
  publish_status();
  return plan;
}

void Coordinator::take_submissions() {
  std::vector<Submission> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(inbox_);
    status_.waiting += static_cast<int>(taken.size());  // until `publish_status` counts anew
  }
  for (Submission& submission : taken) {
    generations_.emplace(submission.spec.id, std::move(submission.generation));
    scheduler_.enqueue(std::move(submission.spec));
  }
}

void Coordinator::drop_cancelled() {
  std::vector<SequenceId> cancelled;
  for (const auto& [id, generation] : generations_) {
    if (generation.cancelled->load(std::memory_order_acquire)) cancelled.push_back(id);
  }
  for (const SequenceId id : cancelled) remove(id);
}

void Coordinator::remove(SequenceId id) {
  if (scheduler_.remove(id)) pending_releases_.push_back(id);
  const auto generation = generations_.find(id);
  outstanding_tokens_ -= generation->second.canvas_length;
  generations_.erase(generation);
}

void Coordinator::finish_step(Batch& batch, std::vector<SequenceOutcome> outcomes) {
  for (SequenceOutcome& outcome : outcomes) {
    const SequenceId id = outcome.update.id;
    RUBATO_CHECK(batch.update(outcome.update).ok());
    Generation& generation = generations_.at(id);
    count(generation, outcome);
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
    if (!generation.cancelled->load(std::memory_order_acquire)) generation.sink(news);
    if (news.finished) remove(id);
  }
  publish_status();
}

void Coordinator::count(Generation& generation, const SequenceOutcome& outcome) const {
  GenerationStats& stats = generation.stats;
  ++stats.forward_passes;
  stats.rows_computed += outcome.rows_computed;
  if (!outcome.boundary) return;
  ++stats.refreshes;
  stats.layers_refreshed += limits_.num_layers - *outcome.boundary;
}

void Coordinator::publish(const StepTimes& times) {
  const std::lock_guard lock(mutex_);
  status_.times = times;
}

void Coordinator::fail(const Error& error) {
  {
    const std::lock_guard lock(mutex_);  // first: whatever was accepted gets an answer
    accepting_ = false;
    status_.ready = false;
  }
  take_submissions();
  for (auto& [id, generation] : std::exchange(generations_, {})) {
    GenerationUpdate news;
    news.stats = generation.stats;
    news.error = error;
    if (!generation.cancelled->load(std::memory_order_acquire)) generation.sink(news);
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
}

}  // namespace rubato
