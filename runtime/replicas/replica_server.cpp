#include "runtime/replicas/replica_server.h"

#include "runtime/base/check.h"

namespace rubato {

ReplicaServer::ReplicaServer(Coordinator& coordinator, Post post)
    : coordinator_(coordinator), post_(std::move(post)) {}

void ReplicaServer::receive(LinkMessage message) {
  if (auto* request = std::get_if<SubmitMessage>(&message)) return submit(std::move(*request));
  if (std::holds_alternative<PingMessage>(message)) return;
  if (const auto* end = std::get_if<ShutDownMessage>(&message))
    return coordinator_.shut_down(end->finish_running);
  const auto* cancel = std::get_if<CancelMessage>(&message);
  RUBATO_CHECK(cancel != nullptr, "the front end sent a message of kind ", message.index());
  const std::lock_guard lock(mutex_);
  handles_.erase(cancel->id);
}

void ReplicaServer::submit(SubmitMessage message) {
  const LinkId id = message.id;
  const std::lock_guard lock(mutex_);  // so that the handle is stored before its first update
  auto handle =
      coordinator_.submit(std::move(message.request),
                          [this, id](const GenerationUpdate& update) { pass_on(id, update); });
  if (handle) {
    handles_.emplace(id, std::move(handle).value());
    return;
  }
  UpdateMessage refusal{id, {}};
  refusal.update.error = handle.error();
  post_(refusal);
}

void ReplicaServer::pass_on(LinkId id, const GenerationUpdate& update) {
  post_(UpdateMessage{id, update});
  if (!update.finished && !update.error) return;
  const std::lock_guard lock(mutex_);
  handles_.erase(id);
}

}  // namespace rubato
