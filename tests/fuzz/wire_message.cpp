// Messages between ranks and between replicas: what is read is what was written, and a batch takes
// or refuses whatever a plan says.
#include <cstring>
#include <vector>

#include "parallel/control_channel.h"
#include "runtime/base/check.h"
#include "runtime/engine/batch.h"
#include "runtime/engine/messages.h"
#include "runtime/replicas/link_messages.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/targets.h"

namespace rubato::fuzz {
namespace {

using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  return {bytes.begin(), bytes.end()};
}

/// With the checksum that a fuzzer would not find.
Bytes sealed(std::string_view text) {
  Bytes bytes;
  ByteWriter writer(bytes);
  for (const char each : text) writer.put(each);
  writer.seal();
  return bytes;
}

template <class Message>
Bytes encoded(const Message& message) {
  Bytes bytes;
  encode(message, bytes);
  return bytes;
}

SequenceSpec spec_of(SequenceId id) {
  SequenceSpec spec;
  spec.id = id;
  spec.prompt = {3, 4};
  spec.max_tokens = 8;
  spec.policy.policy = find_policy("dual");
  spec.policy.block_length = 4;
  return spec;
}

void step_plan(const Bytes& bytes) {
  const Result<StepPlan> plan = decode_step_plan(bytes);
  if (!plan) return;
  RUBATO_CHECK(encoded(*plan) == bytes);
  Batch batch(ControlTokens{.mask = 1, .eos = 2});
  for (const SequenceId id : {1, 2}) batch.admit(spec_of(id));
  constexpr int kMostTokens = 1 << 16;  // more is allowed, and only fills memory
  for (const SequenceSpec& spec : plan->admissions) {
    if (spec.max_tokens > kMostTokens) return;
  }
  const Status applied = batch.apply(*plan);
  if (!applied.ok()) RUBATO_CHECK(applied.error().code == Code::kInternal);
  for (const Sequence* sequence : batch.participants()) {
    if (sequence->done()) continue;
    const PolicyParams& policy = sequence->spec().policy;
    const StepQuery query = policy.policy->query(policy, sequence->view());
    RUBATO_CHECK(query.refresh == Refresh::kFull || !query.rows.empty());
    sequence->quota();
  }
}

void refresh_decision(const Bytes& bytes) {
  const Result<RefreshDecision> decision = decode_refresh_decision(bytes);
  if (decision) RUBATO_CHECK(encoded(*decision) == bytes);
}

void link_message(const Bytes& bytes) {
  const Result<LinkMessage> message = decode_link_message(bytes);
  if (!message) return;
  const Result<LinkMessage> again = decode_link_message(encode(*message));
  RUBATO_CHECK(again.ok() && again->index() == message->index());
  RUBATO_CHECK(encode(*again) == encode(*message));
}

void frame_header(const Bytes& bytes) {
  const Result<FrameHeader> header = detail::read_header(bytes, /*expected_step=*/1, /*rank=*/0);
  if (header) RUBATO_CHECK(header->payload_size <= detail::kMostPayloadBytes);
}

}  // namespace

void wire_message(std::string_view text) {
  Input input(text);
  const int kind = input.up_to(5);
  const std::string_view rest = input.rest();
  switch (kind) {
    case 0:
      return step_plan(sealed(rest));
    case 1:
      return step_plan(bytes_of(rest));
    case 2:
      return refresh_decision(sealed(rest));
    case 3:
      return link_message(bytes_of(rest));
    case 4:
      return frame_header(bytes_of(rest));
    default:
      return refresh_decision(bytes_of(rest));
  }
}

}  // namespace rubato::fuzz
