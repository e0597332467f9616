#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "runtime/base/byte_codec.h"
#include "runtime/base/error.h"
#include "runtime/engine/sequence.h"

namespace rubato {

/// What a control frame carries; on the wire in the frame's header (docs/design/messages.md).
enum class MessageKind : std::uint8_t { kStepPlan = 1, kRefreshDecision = 2, kExit = 3 };

/// The kind that a frame's number stands for. Errors: kInternal, when it is none of `allowed`.
Result<MessageKind> message_kind(std::uint8_t number, std::initializer_list<MessageKind> allowed);

/// What the coordinator sends to all ranks before a step. Applied in the order of its members.
struct StepPlan {
  std::vector<SequenceUpdate> updates;  ///< of the step before
  std::vector<SequenceId> releases;     ///< finished or cancelled
  std::vector<SequenceSpec> admissions;
  std::vector<SequenceId> participants;  ///< the sequences of this step, in batch order
  std::uint64_t digest = 0;              ///< of all sequences' state once the above is applied

  bool operator==(const StepPlan&) const = default;
};

/// The coordinator's one decision in a step: for each sequence of `StepPlan::participants`, the
/// first layer to refresh; the number of layers means no refresh.
struct RefreshDecision {
  std::vector<std::int32_t> boundaries;

  bool operator==(const RefreshDecision&) const = default;
};

/// A request as part of a message. A policy or number that is out of range fails the reader.
void put(ByteWriter& writer, const DecodingRequest& request);
DecodingRequest get_request(ByteReader& reader);

void encode(const StepPlan& plan, std::vector<std::byte>& out);
void encode(const RefreshDecision& decision, std::vector<std::byte>& out);

/// Errors: kInternal, when there are too few or too many bytes, the checksum at the end does not
/// match, or a value is one that no message can have.
Result<StepPlan> decode_step_plan(std::span<const std::byte> bytes);
Result<RefreshDecision> decode_refresh_decision(std::span<const std::byte> bytes);

}  // namespace rubato
