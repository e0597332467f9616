#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>

#include "runtime/engine/coordinator.h"
#include "runtime/replicas/link_messages.h"

namespace rubato {

/// The front end's proxy for a replica whose coordinator is on another rank: requests go there, and
/// updates come back, as messages.
class RemoteReplica final : public GenerationClient {
 public:
  using Post = std::function<void(const LinkMessage&)>;

  /// `limits` are enforced here, so that a refusal precedes the answer and another replica can be
  /// tried; the replica's coordinator has an unlimited queue. `post` sends to the replica without
  /// waiting, from any thread.
  RemoteReplica(const CoordinatorLimits& limits, Post post);

  /// Any thread. A generation without an update so far counts as waiting.
  Result<GenerationHandle> submit(GenerationRequest request, UpdateSink sink) override;
  EngineStatus status() const override;

  /// As `Coordinator::shut_down`. Any thread.
  void shut_down(bool finish_running);

  /// Handles a message and delivers its update. Link thread only; a message that no replica sends
  /// is a bug in this program and ends the process.
  void receive(const LinkMessage& message);

  /// Tells the replica which generations have been cancelled. Link thread only.
  void post_cancellations();

  /// When the replica's last message arrived. Link thread only.
  std::chrono::steady_clock::time_point last_heard() const { return last_heard_; }

  /// Restarts the measurement of the replica's silence. Link thread only.
  void forgive_silence() { last_heard_ = std::chrono::steady_clock::now(); }

  /// Whether its engine has stopped; no update follows. Any thread.
  bool ended() const;

 private:
  struct Generation {
    GenerationSink sink;
    Position canvas_length = 0;
    std::int64_t prompt_tokens = 0;
    bool waits = true;  ///< for its first update
  };

  void pass_on(const UpdateMessage& message);
  void stop_waiting(Generation& generation);

  const CoordinatorLimits limits_;
  const Post post_;
  std::chrono::steady_clock::time_point last_heard_;

  mutable std::mutex mutex_;  // guards all below
  std::map<LinkId, Generation> generations_;
  LinkId next_id_ = 1;
  EngineStatus status_;
  std::chrono::steady_clock::time_point told_at_;  // `status_`
  std::int64_t outstanding_tokens_ = 0;
  int waiting_ = 0;
  std::int64_t waiting_prompt_tokens_ = 0;
  bool accepting_ = true;
  bool ended_ = false;
};

}  // namespace rubato
