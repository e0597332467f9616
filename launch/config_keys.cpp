#include "launch/config_keys.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <limits>

#include "runtime/base/concat.h"

namespace rubato {
namespace {

constexpr double kMany = 1 << 30;

template <class Number>
ConfigKey number(
    std::string_view section, std::string_view name, Number& place, double least, double most) {
  return {.section = section, .name = name, .place = &place, .least = least, .most = most};
}

ConfigKey text(std::string_view section,
               std::string_view name,
               std::string& place,
               std::vector<std::string_view> words = {}) {
  return {.section = section, .name = name, .place = &place, .words = std::move(words)};
}

void add_server_keys(ServerSection& server, std::vector<ConfigKey>& keys) {
  const auto add = [&](std::string_view name, auto& place, double least, double most) {
    keys.push_back(number("server", name, place, least, most));
  };
  keys.push_back(text("server", "bind", server.bind));
  add("port", server.port, 0, 65535);
  add("threads", server.threads, 1, 64);
  add("max_body_bytes", server.max_body_bytes, 1024, kMany);
  add("max_header_bytes", server.max_header_bytes, 1024, kMany);
  add("max_header_fields", server.max_header_fields, 1, 10000);
  add("max_json_depth", server.max_json_depth, 4, 1000);
  add("max_connections", server.max_connections, 1, 1e6);
  add("max_unsent_bytes", server.max_unsent_bytes, 1024, kMany);
  add("max_request_tokens", server.max_request_tokens, 1, kMany);
  add("request_timeout_s", server.request_timeout_s, 1, 3600);
  add("idle_timeout_s", server.idle_timeout_s, 1, 3600);
  add("stream_heartbeat_s", server.stream_heartbeat_s, 0, 3600);
  add("drain_timeout_s", server.drain_timeout_s, 0, 86400);
  keys.push_back(text("server", "api_key_file", server.api_key_file));
  keys.push_back(text("server", "cors_origins", server.cors_origins));
}

void add_model_keys(ModelSection& model, std::vector<ConfigKey>& keys) {
  keys.push_back(text("model", "path", model.path));
  keys.back().may_differ = true;
  keys.push_back(text("model", "name", model.name));
  keys.push_back(text("model", "dtype", model.dtype, {"auto", "float32", "bfloat16"}));
  keys.push_back(text("model", "quantization", model.quantization, {"none", "fp8"}));
  keys.push_back(text("model", "chat_template", model.chat_template, {"auto", "llada"}));
}

void add_engine_keys(EngineSection& engine, std::vector<ConfigKey>& keys) {
  const auto add = [&](std::string_view name, auto& place, double least, double most) {
    keys.push_back(number("engine", name, place, least, most));
  };
  add("tp", engine.tp, 0, 1024);
  add("replicas", engine.replicas, 1, 1024);
  keys.push_back(text("engine", "device", engine.device, {"auto", "cpu", "cuda"}));
  keys.push_back(text("engine", "cuda_graphs", engine.cuda_graphs, {"auto", "off"}));
  keys.push_back(text("engine", "batch_invariant", engine.batch_invariant, {"off", "on"}));
  add("cache_tokens", engine.cache_tokens, 1, 1e12);
  keys.back().words = {"auto"};
  add("max_sequences", engine.max_sequences, 1, 4096);
  add("max_full_rows", engine.max_full_rows, 1, 1e12);
  add("max_drift_mib", engine.max_drift_mib, 1, 1e6);
  add("max_queued", engine.max_queued, 1, 1e6);
  add("max_queued_prompt_tokens", engine.max_queued_prompt_tokens, 1, 1e12);
  add("queue_timeout_s", engine.queue_timeout_s, 0, 86400);
  add("threads", engine.threads, 0, 1024);
  keys.back().may_differ = true;
  add("watchdog_s", engine.watchdog_s, 1, 3600);
}

void add_decoding_keys(DecodingSection& decoding, std::vector<ConfigKey>& keys) {
  const auto add = [&](std::string_view name, auto& place, double least, double most) {
    keys.push_back(number("decoding", name, place, least, most));
  };
  std::vector<std::string_view> names;
  for (const Policy* policy : policies()) names.push_back(policy->name);
  keys.push_back(text("decoding", "policy", decoding.policy, std::move(names)));
  add("threshold", decoding.threshold, 0, 1);
  keys.back().above_least = true;
  add("gamma", decoding.parameters.gamma, 0, kMostGamma);
  keys.push_back(text(
      "decoding", "drift", decoding.drift, {std::begin(kDriftMeasures), std::end(kDriftMeasures)}));
  for (const auto& [name, place, least, most] : kPolicyParameters)
    add(name, decoding.parameters.*place, least, most);
}

bool whole(const ConfigKey& key) {
  return !std::holds_alternative<double*>(key.place);
}

}  // namespace

std::string ConfigKey::dotted() const {
  return concat(section, '.', name);
}

std::string ConfigKey::allowed() const {
  if (std::holds_alternative<std::string*>(place)) {
    if (words.empty()) return "a string";
    std::string listed = "one of ";
    for (const std::string_view word : words)
      listed += concat(word == words.front() ? "" : ", ", '"', word, '"');
    return listed;
  }
  const std::string kind = whole(*this) ? "a whole number" : "a number";
  const auto shown = [&](double bound) {
    return whole(*this) ? concat(static_cast<std::int64_t>(bound)) : concat(bound);
  };
  const std::string word = words.empty() ? "" : concat('"', words.front(), "\" or ");
  return word + (above_least ? concat(kind, " above ", shown(least), ", up to ", shown(most))
                             : concat(kind, " from ", shown(least), " to ", shown(most)));
}

std::vector<ConfigKey> config_keys(Config& config) {
  std::vector<ConfigKey> keys;
  add_server_keys(config.server, keys);
  add_model_keys(config.model, keys);
  add_engine_keys(config.engine, keys);
  add_decoding_keys(config.decoding, keys);
  keys.push_back(text("log", "level", config.log.level, {"debug", "info", "warning", "error"}));
  keys.back().may_differ = true;
  return keys;
}

Error not_allowed(const ConfigKey& key, std::string_view shown) {
  return {Code::kInvalidArgument,
          concat(key.dotted(), " is ", shown, "; allowed: ", key.allowed()),
          key.dotted()};
}

Status assign(const ConfigKey& key, double value, std::string_view shown) {
  if (std::holds_alternative<std::string*>(key.place)) return not_allowed(key, shown);
  // Written so that a NaN fails it too.
  const bool inside =
      value <= key.most && (key.above_least ? value > key.least : value >= key.least);
  if (!inside || (whole(key) && value != std::trunc(value))) return not_allowed(key, shown);
  if (int* const* place = std::get_if<int*>(&key.place)) **place = static_cast<int>(value);
  if (std::int64_t* const* place = std::get_if<std::int64_t*>(&key.place))
    **place = static_cast<std::int64_t>(value);
  if (double* const* place = std::get_if<double*>(&key.place)) **place = value;
  return {};
}

Status assign(const ConfigKey& key, std::string_view value) {
  if (std::int64_t* const* number = std::get_if<std::int64_t*>(&key.place);
      number != nullptr && std::ranges::count(key.words, value) > 0) {
    **number = 0;
    return {};
  }
  std::string* const* place = std::get_if<std::string*>(&key.place);
  if (place == nullptr || (!key.words.empty() && !std::ranges::count(key.words, value)))
    return not_allowed(key, concat('"', value, '"'));
  **place = value;
  return {};
}

std::string show_value(const ConfigKey& key) {
  if (std::string* const* place = std::get_if<std::string*>(&key.place))
    return concat('"', **place, '"');
  if (int* const* place = std::get_if<int*>(&key.place)) return concat(**place);
  if (std::int64_t* const* place = std::get_if<std::int64_t*>(&key.place)) {
    if (**place == 0 && !key.words.empty()) return concat('"', key.words.front(), '"');
    return concat(**place);
  }
  char digits[32];  // the shortest that reads back as the same number
  const auto written = std::to_chars(digits, std::end(digits), *std::get<double*>(key.place));
  return {digits, written.ptr};
}

}  // namespace rubato
