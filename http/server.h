#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "http/access_keys.h"
#include "http/cross_origin.h"
#include "http/openai/request.h"

namespace rubato {

/// Whether `bind` is an IP address (v4 or v6), which a server can listen on.
bool is_address(const std::string& bind);

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

/// What is served, once it is loaded.
struct Served {
  ServedModel model;
  const Tokenizer& tokenizer;
  std::optional<ChatTemplate> chat_template;  ///< none: chat is refused
  GenerationClient& client;
  GenerationDefaults defaults;

  ApiContext api() const {
    return {model, tokenizer, chat_template ? &*chat_template : nullptr, defaults};
  }
};

/// The HTTP front end: OpenAI's routes over a GenerationClient. Owns its threads.
class Server {
 public:
  explicit Server(ServerConfig config);
  ~Server();

  /// Binds, listens and starts the threads. Until `serve` is called, requests are told that the
  /// model is loading. Errors: kUnavailable, with the address and the reason.
  Status start();

  /// Serves requests from now on. What `served` borrows must live until `stop`. Any thread, once.
  void serve(Served served);

  /// The port it listens on; after `start`.
  std::uint16_t port() const;

  /// Accepts no new connections; open ones are still served.
  void stop_accepting();

  /// The number of generation requests being answered.
  int active_requests() const;

  /// Closes everything and joins the threads.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rubato
