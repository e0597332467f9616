#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <functional>
#include <string>

#include "benchmarks/serving/address.h"

namespace rubato {

/// A resolved server, and how to talk to it.
struct Endpoint {
  ServerAddress address;
  boost::asio::ip::tcp::resolver::results_type addresses;
  std::string key;                    ///< sent as a bearer token; empty: none
  std::chrono::milliseconds timeout;  ///< for a whole answer
};

/// Resolves the host. Errors: kUnavailable, with the reason.
Result<Endpoint> find_endpoint(ServerAddress address,
                               std::string key,
                               std::chrono::milliseconds timeout);

/// The answer; `body` is empty if it was passed to a sink.
struct HttpReply {
  int status = 0;
  std::string body;
};

/// Receives each part of the body of an answer with status 200 as it arrives.
using BodySink = std::function<void(std::string_view)>;

/// One request on its own connection: a POST if there is a JSON body, else a GET. `endpoint` must
/// outlive it. Errors: kUnavailable or kDeadline, with few different messages, because they are
/// counted.
boost::asio::awaitable<Result<HttpReply>> exchange(const Endpoint& endpoint,
                                                   std::string path,
                                                   std::string json_body,
                                                   BodySink sink);

/// GETs a path and waits. Errors: those of `exchange`; a status other than 200.
Result<std::string> fetch(const Endpoint& endpoint, const std::string& path);

}  // namespace rubato
