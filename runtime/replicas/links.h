#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "parallel/mailbox.h"
#include "runtime/engine/coordinator.h"
#include "runtime/replicas/link_thread.h"
#include "runtime/replicas/remote_replica.h"
#include "runtime/replicas/replica_server.h"

namespace rubato {

/// How often each side sends a heartbeat when it has nothing else to send.
inline constexpr std::chrono::milliseconds kLinkHeartbeat{500};

/// How a link detects that the other side is lost, and what it does then.
struct LinkWatch {
  std::chrono::milliseconds deadline;     ///< the other side is lost after a longer silence
  std::function<void(int rank)> on_lost;  ///< called on the link thread; ends the job
};

/// The front end's side: the replicas whose coordinators are on other ranks.
class FrontLink {
 public:
  /// `leaders`: the ranks of those coordinators. The mailbox outlives the link, which is
  /// its only user.
  FrontLink(Mailbox& mailbox,
            const std::vector<int>& leaders,
            const CoordinatorLimits& limits,
            LinkWatch watch);
  ~FrontLink();

  /// In the order of `leaders`; they live as long as the link.
  std::vector<GenerationClient*> replicas() const;

  /// `Coordinator::shut_down` of all replicas. Any thread.
  void shut_down(bool finish_running);

  /// Waits until every replica has ended; by then all their updates have been delivered.
  void wait_until_ended();

 private:
  struct Peer {
    int rank;
    std::unique_ptr<RemoteReplica> replica;
  };

  void receive(const Letter& letter);
  void tick(bool stalled);

  Mailbox& mailbox_;
  const LinkWatch watch_;
  std::vector<Peer> peers_;
  std::chrono::steady_clock::time_point next_ping_;
  std::atomic<bool> all_ended_ = false;
  std::unique_ptr<LinkThread> thread_;
};

/// A replica's side, beside its coordinator.
class LeaderLink {
 public:
  /// `front`: the front end's rank.
  LeaderLink(Mailbox& mailbox, int front, Coordinator& coordinator, LinkWatch watch);

  /// Tells the front end that no more messages follow. Call after the engine has ended.
  ~LeaderLink();

 private:
  void receive(const Letter& letter);
  void tick(bool stalled);
  void post_status(bool ended);

  Mailbox& mailbox_;
  const int front_;
  Coordinator& coordinator_;
  const LinkWatch watch_;
  ReplicaServer server_;
  EngineStatus told_;
  std::chrono::steady_clock::time_point last_heard_, last_told_;
  std::unique_ptr<LinkThread> thread_;
};

}  // namespace rubato
