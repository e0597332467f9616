#include "runtime/replicas/links.h"

#include <algorithm>

#include "runtime/base/check.h"

namespace rubato {
namespace {

using Clock = std::chrono::steady_clock;

/// How often a replica sends a changed load.
constexpr std::chrono::milliseconds kStatusInterval{20};

LinkMessage decoded(const Letter& letter) {
  Result<LinkMessage> message = decode_link_message(letter.content);
  RUBATO_CHECK(message.ok(), "from rank ", letter.from, ": ", message.error().message);
  return std::move(message).value();
}

}  // namespace

FrontLink::FrontLink(Mailbox& mailbox,
                     const std::vector<int>& leaders,
                     const CoordinatorLimits& limits,
                     LinkWatch watch)
    : mailbox_(mailbox), watch_(std::move(watch)), next_ping_(Clock::now()) {
  for (const int rank : leaders) {
    const auto post = [this, rank](const LinkMessage& message) {
      mailbox_.post(rank, encode(message));
    };
    peers_.push_back({rank, std::make_unique<RemoteReplica>(limits, post)});
  }
  thread_ = std::make_unique<LinkThread>(
      mailbox_,
      [this](const Letter& letter) { receive(letter); },
      [this](bool stalled) { tick(stalled); });
}

FrontLink::~FrontLink() {
  thread_->stop();
  mailbox_.flush();
}

std::vector<GenerationClient*> FrontLink::replicas() const {
  std::vector<GenerationClient*> replicas;
  for (const Peer& peer : peers_) replicas.push_back(peer.replica.get());
  return replicas;
}

void FrontLink::shut_down(bool finish_running) {
  for (const Peer& peer : peers_) peer.replica->shut_down(finish_running);
}

void FrontLink::wait_until_ended() {
  all_ended_.wait(false);
}

void FrontLink::receive(const Letter& letter) {
  const auto peer = std::ranges::find(peers_, letter.from, &Peer::rank);
  RUBATO_CHECK(peer != peers_.end(), "a message came from rank ", letter.from);
  peer->replica->receive(decoded(letter));
}

void FrontLink::tick(bool stalled) {
  const auto now = Clock::now();
  const bool ping = now >= next_ping_;
  if (ping) next_ping_ = now + kLinkHeartbeat;
  bool all_ended = true;
  for (const Peer& peer : peers_) {
    if (peer.replica->ended()) continue;
    all_ended = false;
    peer.replica->post_cancellations();
    if (ping) mailbox_.post(peer.rank, encode(PingMessage{}));
    if (stalled) peer.replica->forgive_silence();
    if (now - peer.replica->last_heard() > watch_.deadline) watch_.on_lost(peer.rank);
  }
  if (!all_ended) return;
  all_ended_ = true;
  all_ended_.notify_all();
}

LeaderLink::LeaderLink(Mailbox& mailbox, int front, Coordinator& coordinator, LinkWatch watch)
    : mailbox_(mailbox),
      front_(front),
      coordinator_(coordinator),
      watch_(std::move(watch)),
      server_(coordinator,
              [this](const LinkMessage& message) { mailbox_.post(front_, encode(message)); }),
      last_heard_(Clock::now()) {
  thread_ = std::make_unique<LinkThread>(
      mailbox_,
      [this](const Letter& letter) { receive(letter); },
      [this](bool stalled) { tick(stalled); });
}

LeaderLink::~LeaderLink() {
  thread_->stop();
  post_status(/*ended=*/true);
  mailbox_.flush();
}

void LeaderLink::receive(const Letter& letter) {
  RUBATO_CHECK(letter.from == front_, "a message came from rank ", letter.from);
  last_heard_ = Clock::now();
  server_.receive(decoded(letter));
}

void LeaderLink::tick(bool stalled) {
  const auto now = Clock::now();
  if (stalled) last_heard_ = now;
  if (now - last_heard_ > watch_.deadline) watch_.on_lost(front_);
  const auto since_told = now - last_told_;
  if (since_told < kStatusInterval) return;
  EngineStatus status = coordinator_.status();
  status.heartbeat_age_s = told_.heartbeat_age_s;  // always changes; not worth a message
  if (since_told > kLinkHeartbeat || status != told_) post_status(/*ended=*/false);
}

void LeaderLink::post_status(bool ended) {
  told_ = coordinator_.status();
  last_told_ = Clock::now();
  mailbox_.post(front_, encode(StatusMessage{told_, ended}));
}

}  // namespace rubato
