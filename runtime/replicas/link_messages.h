#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/engine/generation.h"

namespace rubato {

/// Names a generation between the front end and one replica; never used twice.
using LinkId = std::uint64_t;

// Front end to replica.

struct SubmitMessage {
  LinkId id = 0;
  GenerationRequest request;
};

struct CancelMessage {
  LinkId id = 0;
};

struct ShutDownMessage {
  bool finish_running = true;
};

/// The front end's heartbeat, at least once a second.
struct PingMessage {};

// Replica to front end.

/// A generation's update, or its refusal.
struct UpdateMessage {
  LinkId id = 0;
  GenerationUpdate update;
};

/// The replica's load, sent at least once a second: also its heartbeat.
struct StatusMessage {
  EngineStatus status;
  bool ended = false;  ///< the replica's engine has stopped; this is its last message
};

using LinkMessage = std::variant<SubmitMessage,
                                 CancelMessage,
                                 ShutDownMessage,
                                 PingMessage,
                                 UpdateMessage,
                                 StatusMessage>;

/// The message's bytes (docs/design/messages.md, "Between the front end and a replica").
std::vector<std::byte> encode(const LinkMessage& message);

/// Errors: kInternal, if there are too few or too many bytes, or the version or kind is unknown.
Result<LinkMessage> decode_link_message(std::span<const std::byte> bytes);

}  // namespace rubato
