#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>

#include "runtime/engine/coordinator.h"
#include "runtime/replicas/link_messages.h"

namespace rubato {

/// The front end's door to a replica whose coordinator is on another rank: what that coordinator
/// would be asked directly goes there as messages, and its news come back as messages.
class RemoteReplica final : public GenerationClient {
 public:
  using Post = std::function<void(const LinkMessage&)>;

  /// `limits` are kept here, so that a refusal comes before anything is answered and another
  /// replica can be tried: the replica's coordinator has a queue without limits. `post` sends to
  /// the replica: without waiting, from any thread.
  RemoteReplica(const CoordinatorLimits& limits, Post post);

  /// Any thread. What has had no news yet counts as waiting.
  Result<GenerationHandle> submit(GenerationRequest request, UpdateSink sink) override;
  EngineStatus status() const override;

  /// As `Coordinator::shut_down`. Any thread.
  void shut_down(bool finish_running);

  /// Takes a message in and hands news on. Link thread only; a message that no replica sends is
  /// this program's mistake and ends the process.
  void receive(const LinkMessage& message);

  /// Tells the replica which generations nobody waits for any more. Link thread only.
  void post_cancellations();

  /// When the replica last gave a sign of life. Link thread only.
  std::chrono::steady_clock::time_point last_heard() const { return last_heard_; }

  /// Its silence counts from now on only. Link thread only.
  void forgive_silence() { last_heard_ = std::chrono::steady_clock::now(); }

  /// Whether its engine has stopped; no update comes after. Any thread.
  bool ended() const;

 private:
  struct Generation {
    UpdateSink sink;
    std::shared_ptr<std::atomic<bool>> cancelled;
    Position canvas_length = 0;
    std::int64_t prompt_tokens = 0;
    bool waits = true;  ///< for its first news
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
