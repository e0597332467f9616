#include "runtime/replicas/remote_replica.h"

#include <utility>

#include "runtime/base/check.h"

namespace rubato {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

RemoteReplica::RemoteReplica(const CoordinatorLimits& limits, Post post)
    : limits_(limits), post_(std::move(post)), last_heard_(Clock::now()), told_at_(last_heard_) {
  status_.ready = true;
  status_.cache_tokens_total = limits.scheduler.cache_tokens;
}

Result<GenerationHandle> RemoteReplica::submit(GenerationRequest request, UpdateSink sink) {
  const Position length = request.canvas_length();
  if (Status status = check_size(limits_, request); !status) return status.error();
  GenerationSink delivery(std::move(sink));
  GenerationHandle handle = delivery.handle();
  const std::lock_guard lock(mutex_);
  if (!accepting_ || ended_) return Error{Code::kUnavailable, "the server is shutting down"};
  const std::int64_t tokens = request.given_tokens();
  const Status room = check_queue(limits_, waiting_, waiting_prompt_tokens_, tokens);
  if (!room) return room.error();
  const LinkId id = next_id_++;
  generations_.emplace(id, Generation{std::move(delivery), length, tokens});
  outstanding_tokens_ += length;
  ++waiting_;
  waiting_prompt_tokens_ += tokens;
  post_(SubmitMessage{id, std::move(request)});  // under the lock, so that ids arrive in order
  return handle;
}

EngineStatus RemoteReplica::status() const {
  const std::lock_guard lock(mutex_);
  EngineStatus status = status_;
  status.outstanding_tokens = outstanding_tokens_;
  status.heartbeat_age_s += std::chrono::duration<double>(Clock::now() - told_at_).count();
  return status;
}

void RemoteReplica::shut_down(bool finish_running) {
  const std::lock_guard lock(mutex_);
  accepting_ = false;
  status_.ready = false;
  post_(ShutDownMessage{finish_running});
}

void RemoteReplica::receive(const LinkMessage& message) {
  last_heard_ = Clock::now();
  if (const auto* update = std::get_if<UpdateMessage>(&message)) return pass_on(*update);
  const auto* status = std::get_if<StatusMessage>(&message);
  RUBATO_CHECK(status != nullptr, "a replica sent a message of kind ", message.index());
  const std::lock_guard lock(mutex_);
  status_ = status->status;
  told_at_ = last_heard_;
  status_.ready = status_.ready && accepting_;
  ended_ = status->ended;
}

void RemoteReplica::pass_on(const UpdateMessage& message) {
  const bool last = message.update.finished || message.update.error;
  std::optional<GenerationSink> sink;
  {
    const std::lock_guard lock(mutex_);
    const auto found = generations_.find(message.id);
    if (found == generations_.end()) return;  // cancelled; the update crossed with our message
    Generation& generation = found->second;
    stop_waiting(generation);
    sink = generation.sink;
    if (last) {
      outstanding_tokens_ -= generation.canvas_length;
      generations_.erase(found);
    }
  }
  sink->deliver(message.update);
}

void RemoteReplica::stop_waiting(Generation& generation) {
  if (!std::exchange(generation.waits, false)) return;
  --waiting_;
  waiting_prompt_tokens_ -= generation.prompt_tokens;
}

void RemoteReplica::post_cancellations() {
  const std::lock_guard lock(mutex_);
  for (auto entry = generations_.begin(); entry != generations_.end();) {
    auto& [id, generation] = *entry;
    if (!generation.sink.cancelled()) {
      ++entry;
      continue;
    }
    stop_waiting(generation);
    outstanding_tokens_ -= generation.canvas_length;
    post_(CancelMessage{id});
    entry = generations_.erase(entry);
  }
}

bool RemoteReplica::ended() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}

}  // namespace rubato
