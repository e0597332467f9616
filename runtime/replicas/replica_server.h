#pragma once

#include <functional>
#include <map>
#include <mutex>

#include "runtime/engine/coordinator.h"
#include "runtime/replicas/link_messages.h"

namespace rubato {

/// The other end of a `RemoteReplica`, beside the replica's coordinator: submits what the front end
/// asks for and sends its news back. Outlives no coordinator.
class ReplicaServer {
 public:
  using Post = std::function<void(const LinkMessage&)>;

  /// `post` sends to the front end: without waiting, from any thread.
  ReplicaServer(Coordinator& coordinator, Post post);

  /// Does what the front end says. Link thread only; a message that no front end sends is this
  /// program's mistake and ends the process.
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
