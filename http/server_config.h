#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "http/access_keys.h"
#include "http/cross_origin.h"

namespace rubato {

/// Where the HTTP server listens, and its limits. Value.
struct ServerConfig {
  std::string bind = "127.0.0.1";
  int port = 8000;  ///< 0: any free one
  int threads = 1;
  std::int64_t max_body_bytes = 4 << 20;
  int max_header_bytes = 16 << 10;
  int max_header_fields = 100;
  int max_json_depth = 64;
  int max_connections = 1024;
  std::int64_t max_unsent_bytes = 256 << 10;  ///< of a stream, before a slow client is disconnected
  std::chrono::milliseconds request_timeout{30'000};  ///< for a request to arrive in full
  std::chrono::milliseconds idle_timeout{75'000};     ///< between two requests on a connection
  std::chrono::milliseconds stream_heartbeat{0};      ///< a silent stream gets a comment; 0: never
  std::string version;
  AccessKeys keys;           ///< without any, everybody has access
  CrossOrigin cross_origin;  ///< origins whose pages may read answers
};

}  // namespace rubato
