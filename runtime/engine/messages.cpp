#include "runtime/engine/messages.h"

#include "runtime/base/concat.h"

namespace rubato {
namespace {

/// Far above any model's context, and far below the limit of Position.
constexpr std::int64_t kMostPositions = std::int64_t{1} << 30;

void put(ByteWriter& writer, const PolicyParams& params) {
  writer.put(policy_number(*params.policy));
  writer.put<std::int32_t>(params.window);
  writer.put(params.gamma);
  writer.put(params.drift);
  writer.put<std::int32_t>(params.track);
  writer.put<std::int32_t>(params.refresh_every);
  writer.put<std::int32_t>(params.block_length);
  writer.put<std::int32_t>(params.horizon);
}

PolicyParams get_policy(ByteReader& reader) {
  PolicyParams params;
  const auto number = reader.get<std::uint8_t>();
  if (number >= policies().size()) return reader.fail(), params;
  params.policy = policies()[number];
  params.window = reader.get<std::int32_t>();
  params.gamma = reader.get<double>();
  params.drift = reader.get_enum(DriftMeasure::kRows);
  params.track = reader.get<std::int32_t>();
  params.refresh_every = reader.get<std::int32_t>();
  params.block_length = reader.get<std::int32_t>();
  params.horizon = reader.get<std::int32_t>();
  if (!validate(params)) reader.fail();
  return params;
}

void put(ByteWriter& writer, const LogitRules& rules) {
  writer.put(static_cast<std::uint32_t>(rules.bias.size()));
  for (const auto& [token, bias] : rules.bias) {
    writer.put(token);
    writer.put(bias);
  }
  writer.put_all<TokenId>(rules.late);
  writer.put<std::int32_t>(rules.min_tokens);
}

LogitRules get_rules(ByteReader& reader) {
  LogitRules rules;
  constexpr std::size_t kBias = 8;
  for (std::size_t left = reader.get_count(kBias); left > 0 && reader.ok(); --left) {
    TokenBias& bias = rules.bias.emplace_back();
    bias.token = reader.get<TokenId>();
    bias.bias = reader.get<float>();
  }
  rules.late = reader.get_all<TokenId>();
  rules.min_tokens = reader.get<std::int32_t>();
  return rules;
}

}  // namespace

void put(ByteWriter& writer, const DecodingRequest& request) {
  writer.put_all<TokenId>(request.prompt);
  writer.put_all<TokenId>(request.suffix);
  writer.put<std::int32_t>(request.max_tokens);
  put(writer, request.policy);
  writer.put(request.commit.rule);
  writer.put(request.commit.threshold);
  writer.put<std::int32_t>(request.commit.steps);
  writer.put(request.commit.factor);
  writer.put(request.sampling.temperature);
  writer.put(request.sampling.top_p);
  writer.put<std::int32_t>(request.sampling.top_k);
  writer.put(request.sampling.seed);
  put(writer, request.rules);
  writer.put<std::int32_t>(request.top_logprobs);
  writer.put<std::uint8_t>(request.ignore_eos);
}

DecodingRequest get_request(ByteReader& reader) {
  DecodingRequest request;
  request.prompt = reader.get_all<TokenId>();
  request.suffix = reader.get_all<TokenId>();
  request.max_tokens = reader.get<std::int32_t>();
  request.policy = get_policy(reader);
  request.commit.rule = reader.get_enum(CommitRule::kFactor);
  request.commit.threshold = reader.get<double>();
  request.commit.steps = reader.get<std::int32_t>();
  request.commit.factor = reader.get<double>();
  request.sampling.temperature = reader.get<double>();
  request.sampling.top_p = reader.get<double>();
  request.sampling.top_k = reader.get<std::int32_t>();
  request.sampling.seed = reader.get<std::uint64_t>();
  request.rules = get_rules(reader);
  request.top_logprobs = reader.get<std::int32_t>();
  request.ignore_eos = reader.get_bool();
  if (request.max_tokens < 1) reader.fail();
  return request;
}

namespace {

void put(ByteWriter& writer, const SequenceSpec& spec) {
  writer.put(spec.id);
  writer.put(spec.slot_begin);
  put(writer, static_cast<const DecodingRequest&>(spec));
}

SequenceSpec get_spec(ByteReader& reader) {
  SequenceSpec spec;
  spec.id = reader.get<SequenceId>();
  spec.slot_begin = reader.get<std::int64_t>();
  static_cast<DecodingRequest&>(spec) = get_request(reader);
  const std::int64_t length =
      std::ssize(spec.prompt) + std::ssize(spec.suffix) + std::int64_t{spec.max_tokens};
  if (spec.slot_begin < 0 || length > kMostPositions) reader.fail();
  return spec;
}

Error malformed(const char* what, std::size_t size) {
  return {Code::kInternal, concat("malformed ", what, " of ", size, " bytes")};
}

}  // namespace

Result<MessageKind> message_kind(std::uint8_t number, std::initializer_list<MessageKind> allowed) {
  for (const MessageKind kind : allowed) {
    if (number == static_cast<std::uint8_t>(kind)) return kind;
  }
  return Error{Code::kInternal,
               concat("a control message of kind ", int{number}, " came out of turn")};
}

void encode(const StepPlan& plan, std::vector<std::byte>& out) {
  ByteWriter writer(out);
  writer.put(static_cast<std::uint32_t>(plan.updates.size()));
  for (const SequenceUpdate& update : plan.updates) {
    writer.put(update.id);
    writer.put_all<Commit>(update.commits);
    writer.put_all<Position>(update.tracked);
  }
  writer.put_all<SequenceId>(plan.releases);
  writer.put(static_cast<std::uint32_t>(plan.admissions.size()));
  for (const SequenceSpec& spec : plan.admissions) put(writer, spec);
  writer.put_all<SequenceId>(plan.participants);
  writer.put(plan.digest);
  writer.seal();
}

Result<StepPlan> decode_step_plan(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  reader.unseal();
  StepPlan plan;
  constexpr std::size_t kLeastUpdate = 16, kLeastSpec = 124;
  for (std::size_t left = reader.get_count(kLeastUpdate); left > 0 && reader.ok(); --left) {
    SequenceUpdate& update = plan.updates.emplace_back();
    update.id = reader.get<SequenceId>();
    update.commits = reader.get_all<Commit>();
    update.tracked = reader.get_all<Position>();
  }
  plan.releases = reader.get_all<SequenceId>();
  for (std::size_t left = reader.get_count(kLeastSpec); left > 0 && reader.ok(); --left) {
    plan.admissions.push_back(get_spec(reader));
  }
  plan.participants = reader.get_all<SequenceId>();
  plan.digest = reader.get<std::uint64_t>();
  if (!reader.at_end()) return malformed("step plan", bytes.size());
  return plan;
}

void encode(const RefreshDecision& decision, std::vector<std::byte>& out) {
  ByteWriter writer(out);
  writer.put_all<std::int32_t>(decision.boundaries);
  writer.seal();
}

Result<RefreshDecision> decode_refresh_decision(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  reader.unseal();
  RefreshDecision decision{reader.get_all<std::int32_t>()};
  if (!reader.at_end()) return malformed("refresh decision", bytes.size());
  return decision;
}

}  // namespace rubato
