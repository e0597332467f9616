#include "runtime/replicas/link_messages.h"

#include <optional>
#include <string>
#include <string_view>

#include "runtime/base/byte_codec.h"
#include "runtime/base/concat.h"
#include "runtime/engine/messages.h"

namespace rubato {
namespace {

constexpr std::uint32_t kMagic = 0x52424C31;  // "RBL1"

void put(ByteWriter& writer, std::string_view text) {
  writer.put_all<char>({text.data(), text.size()});
}

std::string get_text(ByteReader& reader) {
  const std::vector<char> text = reader.get_all<char>();
  return {text.begin(), text.end()};
}

void put(ByteWriter& writer, std::span<const double> values) {
  writer.put(static_cast<std::uint32_t>(values.size()));
  for (const double value : values) writer.put(value);
}

std::vector<double> get_doubles(ByteReader& reader) {
  std::vector<double> values(reader.get_count(sizeof(double)));
  for (double& value : values) value = reader.get<double>();
  return values;
}

void put(ByteWriter& writer, const StepTrace& trace) {
  writer.put<std::int32_t>(trace.boundary.value_or(-1));
  put(writer, trace.similarity);
  writer.put_all<Position>(trace.tracked);
  writer.put_all<Commit>(trace.committed);
}

StepTrace get_trace(ByteReader& reader) {
  StepTrace trace;
  const auto boundary = reader.get<std::int32_t>();
  if (boundary >= 0) trace.boundary = boundary;
  trace.similarity = get_doubles(reader);
  trace.tracked = reader.get_all<Position>();
  trace.committed = reader.get_all<Commit>();
  return trace;
}

void put(ByteWriter& writer, std::span<const CommitLogprobs> logprobs) {
  writer.put(static_cast<std::uint32_t>(logprobs.size()));
  for (const CommitLogprobs& said : logprobs) {
    writer.put(said.logprob);
    writer.put(static_cast<std::uint32_t>(said.top.size()));
    for (const auto& [token, logprob] : said.top) {
      writer.put(token);
      writer.put(logprob);
    }
  }
}

std::vector<CommitLogprobs> get_logprobs(ByteReader& reader) {
  constexpr std::size_t kLeastSaid = 12, kTop = 12;
  std::vector<CommitLogprobs> logprobs(reader.get_count(kLeastSaid));
  for (CommitLogprobs& said : logprobs) {
    said.logprob = reader.get<double>();
    said.top.resize(reader.get_count(kTop));
    for (auto& [token, logprob] : said.top) {
      token = reader.get<TokenId>();
      logprob = reader.get<double>();
    }
  }
  return logprobs;
}

void put(ByteWriter& writer, const GenerationStats& stats) {
  writer.put<std::int32_t>(stats.forward_passes);
  writer.put<std::int32_t>(stats.refreshes);
  writer.put(stats.rows_computed);
  writer.put(stats.layers_refreshed);
}

GenerationStats get_stats(ByteReader& reader) {
  GenerationStats stats;
  stats.forward_passes = reader.get<std::int32_t>();
  stats.refreshes = reader.get<std::int32_t>();
  stats.rows_computed = reader.get<std::int64_t>();
  stats.layers_refreshed = reader.get<std::int64_t>();
  return stats;
}

void put(ByteWriter& writer, const Error& error) {
  writer.put(static_cast<std::uint8_t>(error.code));
  put(writer, error.message);
  put(writer, error.param);
}

Error get_error(ByteReader& reader) {
  Error error;
  const auto code = reader.get<std::uint8_t>();
  if (code > static_cast<std::uint8_t>(Code::kInternal)) reader.fail();
  error.code = static_cast<Code>(code);
  error.message = get_text(reader);
  error.param = get_text(reader);
  return error;
}

void put(ByteWriter& writer, const SubmitMessage& message) {
  writer.put(message.id);
  put(writer, static_cast<const DecodingRequest&>(message.request));
  writer.put<std::uint8_t>(message.request.trace);
}

void get(ByteReader& reader, SubmitMessage& message) {
  message.id = reader.get<LinkId>();
  static_cast<DecodingRequest&>(message.request) = get_request(reader);
  message.request.trace = reader.get<std::uint8_t>() != 0;
}

void put(ByteWriter& writer, const CancelMessage& message) {
  writer.put(message.id);
}

void get(ByteReader& reader, CancelMessage& message) {
  message.id = reader.get<LinkId>();
}

void put(ByteWriter& writer, const ShutDownMessage& message) {
  writer.put<std::uint8_t>(message.finish_running);
}

void get(ByteReader& reader, ShutDownMessage& message) {
  message.finish_running = reader.get<std::uint8_t>() != 0;
}

void put(ByteWriter&, const PingMessage&) {}

void get(ByteReader&, PingMessage&) {}

void put(ByteWriter& writer, const UpdateMessage& message) {
  const GenerationUpdate& update = message.update;
  writer.put(message.id);
  writer.put_all<Commit>(update.commits);
  put(writer, update.logprobs);
  put(writer, update.stats);
  writer.put<std::uint8_t>(update.finished);
  writer.put<std::uint8_t>(update.trace.has_value());
  if (update.trace) put(writer, *update.trace);
  writer.put<std::uint8_t>(update.error.has_value());
  if (update.error) put(writer, *update.error);
}

void get(ByteReader& reader, UpdateMessage& message) {
  GenerationUpdate& update = message.update;
  message.id = reader.get<LinkId>();
  update.commits = reader.get_all<Commit>();
  update.logprobs = get_logprobs(reader);
  update.stats = get_stats(reader);
  update.finished = reader.get<std::uint8_t>() != 0;
  if (reader.get<std::uint8_t>() != 0) update.trace = get_trace(reader);
  if (reader.get<std::uint8_t>() != 0) update.error = get_error(reader);
}

void put(ByteWriter& writer, const StatusMessage& message) {
  const EngineStatus& status = message.status;
  writer.put<std::uint8_t>(status.ready);
  writer.put<std::int32_t>(status.running);
  writer.put<std::int32_t>(status.waiting);
  writer.put(status.cache_tokens_total);
  writer.put(status.cache_tokens_used);
  writer.put(status.outstanding_tokens);
  writer.put(status.times);
  writer.put(status.counters);
  writer.put(status.collective_s);
  writer.put(status.heartbeat_age_s);
  writer.put<std::uint8_t>(message.ended);
}

void get(ByteReader& reader, StatusMessage& message) {
  EngineStatus& status = message.status;
  status.ready = reader.get<std::uint8_t>() != 0;
  status.running = reader.get<std::int32_t>();
  status.waiting = reader.get<std::int32_t>();
  status.cache_tokens_total = reader.get<std::int64_t>();
  status.cache_tokens_used = reader.get<std::int64_t>();
  status.outstanding_tokens = reader.get<std::int64_t>();
  status.times = reader.get<StepTimes>();
  status.counters = reader.get<EngineCounters>();
  status.collective_s = reader.get<double>();
  status.heartbeat_age_s = reader.get<double>();
  message.ended = reader.get<std::uint8_t>() != 0;
}

/// The message whose index in the variant is `kind`.
template <std::size_t kKind = 0>
std::optional<LinkMessage> get_message(ByteReader& reader, std::size_t kind) {
  if constexpr (kKind < std::variant_size_v<LinkMessage>) {
    if (kind != kKind) return get_message<kKind + 1>(reader, kind);
    std::variant_alternative_t<kKind, LinkMessage> message;
    get(reader, message);
    return message;
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::byte> encode(const LinkMessage& message) {
  std::vector<std::byte> bytes;
  ByteWriter writer(bytes);
  writer.put(kMagic);
  writer.put(static_cast<std::uint8_t>(message.index()));
  std::visit([&writer](const auto& kind) { put(writer, kind); }, message);
  return bytes;
}

Result<LinkMessage> decode_link_message(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  const auto magic = reader.get<std::uint32_t>();
  const std::size_t kind = reader.get<std::uint8_t>();
  if (reader.ok() && magic != kMagic) {
    return Error{Code::kInternal,
                 concat("a message between replicas with magic ", magic, ", expected ", kMagic)};
  }
  std::optional<LinkMessage> message;
  if (reader.ok()) message = get_message(reader, kind);
  if (!message || !reader.at_end()) {
    return Error{Code::kInternal,
                 concat("malformed message of kind ", kind, " and ", bytes.size(), " bytes")};
  }
  return *std::move(message);
}

}  // namespace rubato
