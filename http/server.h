#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "http/openai/request.h"
#include "http/server_config.h"

namespace rubato {

/// Whether `bind` is an IP address (v4 or v6), which a server can listen on.
bool is_address(const std::string& bind);

/// What is served, once it is loaded; borrowed.
struct Served {
  ApiContext api;
  GenerationClient& client;
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
