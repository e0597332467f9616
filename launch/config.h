#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "cache/policy.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"
#include "runtime/decoding/params.h"

namespace rubato {

/// The HTTP server on rank 0.
struct ServerSection {
  std::string bind = "127.0.0.1";
  int port = 8000;  ///< 0: any free one
  int threads = 1;
  std::int64_t max_body_bytes = 4 << 20;
  int max_header_bytes = 16 << 10;
  int max_header_fields = 100;
  int max_json_depth = 64;
  int max_connections = 1024;
  /// Of a stream, before a slow client is disconnected.
  std::int64_t max_unsent_bytes = 256 << 10;
  int max_request_tokens = 16384;  ///< n x max_tokens of one request
  int request_timeout_s = 30;      ///< for a request to arrive in full
  int idle_timeout_s = 75;         ///< between two requests on a connection
  double stream_heartbeat_s = 0;   ///< after which a silent stream gets a comment; 0: never
  int drain_timeout_s = 60;        ///< for running requests to finish after SIGTERM
  std::string api_key_file;        ///< access keys; empty: only those of the environment
  std::string cors_origins;        ///< origins whose pages may read answers; empty: none

  bool operator==(const ServerSection&) const = default;
};

struct ModelSection {
  std::string path = "models/llada-tiny";
  std::string name;  ///< in /v1/models; empty: the folder's name
  std::string dtype = "auto";
  std::string quantization = "none";  ///< or fp8, for the layers' weights
  std::string chat_template = "auto";

  bool operator==(const ModelSection&) const = default;
};

/// Also of `auto` on processors, where more would only take longer to fill.
inline constexpr std::int64_t kDefaultCacheTokens = 16384;

struct EngineSection {
  int tp = 0;  ///< ranks that share the model; 0: all ranks of the job
  int replicas = 1;
  std::string device = "auto";
  std::string batch_invariant = "off";  ///< or on, for GPUs; on processors it always is
  std::string cuda_graphs = "auto";     ///< or off
  /// Canvas positions that all running sequences share; 0 (auto): as many as fit a GPU.
  std::int64_t cache_tokens = kDefaultCacheTokens;
  int max_sequences = 64;                          ///< running at once
  std::int64_t max_full_rows = 2048;               ///< of the full forwards in one step
  std::int64_t max_drift_mib = 1024;               ///< of the drift tests in one step, on a rank
  int max_queued = 256;                            ///< waiting for a slot; one more is refused
  std::int64_t max_queued_prompt_tokens = 262144;  ///< of all waiting requests
  int queue_timeout_s = 300;                       ///< for a slot; 0: no limit
  int threads = 0;     ///< a rank's CPU threads; 0: its share of the cores
  int watchdog_s = 3;  ///< how late a rank may be before the job ends

  bool operator==(const EngineSection&) const = default;
};

/// What a request's `diffusion` object overrides.
struct DecodingSection {
  std::string policy = "elastic";
  double threshold = 0.9;
  std::string drift = "heads";
  PolicyParams parameters;  ///< except policy and drift, which are given by name above

  bool operator==(const DecodingSection&) const = default;
};

struct LogSection {
  std::string level = "info";

  bool operator==(const LogSection&) const = default;
};

/// Everything that can be configured, with its defaults; launch/rubato.toml documents each key.
/// Built once at start, const afterwards.
struct Config {
  ServerSection server;
  ModelSection model;
  EngineSection engine;
  DecodingSection decoding;
  LogSection log;

  bool operator==(const Config&) const = default;
};

/// A value given outside the file: a dotted key and the text of its value.
struct ConfigOverride {
  std::string key;
  std::string value;
};

/// The defaults, overridden by the TOML file (none if empty), overridden by `overrides` in order.
/// Errors name the key, the value found and what is allowed, and the file with its line.
Result<Config> load_config(const std::filesystem::path& file,
                           const std::vector<ConfigOverride>& overrides);

/// Splits "section.key=value".
Result<ConfigOverride> parse_override(std::string_view text);

/// One TOML line per section, every key with its value; logged at start.
std::vector<std::string> describe(const Config& config);

/// The decoding defaults as the engine's structs; the configuration must be validated.
PolicyParams policy_params(const DecodingSection& decoding);
CommitParams commit_params(const DecodingSection& decoding);
LogLevel log_level(const LogSection& log);

}  // namespace rubato
