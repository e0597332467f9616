#pragma once

#include <functional>
#include <map>
#include <mutex>

#include "runtime/engine/coordinator.h"
#include "runtime/replicas/link_messages.h"

namespace rubato {

/// The counterpart of a `RemoteReplica`, on the rank of the replica's coordinator: submits the
/// front end's generations and sends their updates back. The coordinator outlives it.
class ReplicaServer {
 public:
  using Post = std::function<void(const LinkMessage&)>;

  /// `post` sends to the front end without waiting, from any thread.
  ReplicaServer(Coordinator& coordinator, Post post);

  /// Handles a message from the front end. Link thread only; a message that no front end sends is a
  /// bug in this program and ends the process.
  void receive(LinkMessage message);

 private:
  void submit(SubmitMessage message);
  void pass_on(LinkId id, const GenerationUpdate& update);

  Coordinator& coordinator_;
  const Post post_;
  std::mutex mutex_;
  std::map<LinkId, GenerationHandle> handles_;  // of generations that have not ended
};

}  // namespace rubato
