#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <functional>
#include <string>

#include "benchmarks/serving/address.h"

namespace rubato {

/// A server that was found, and how it is spoken to.
struct Endpoint {
  ServerAddress address;
  boost::asio::ip::tcp::resolver::results_type addresses;
  std::string key;                    ///< sent as a bearer token; empty: none
  std::chrono::milliseconds timeout;  ///< for a whole answer
};

/// Looks the host up. Errors: kUnavailable, with the reason.
Result<Endpoint> find_endpoint(ServerAddress address,
                               std::string key,
                               std::chrono::milliseconds timeout);

/// What was answered; of a body that was handed on as it came, nothing is kept.
struct HttpReply {
  int status = 0;
  std::string body;
};

/// Takes a part of the body of an answer with status 200 when it arrives.
using BodySink = std::function<void(std::string_view)>;

/// One request on a connection of its own: a GET, or a POST where there is a JSON body. `endpoint`
/// must outlive it. Errors: kUnavailable or kDeadline, in words that are few and the same each
/// time, for they are counted.
boost::asio::awaitable<Result<HttpReply>> exchange(const Endpoint& endpoint,
                                                   std::string path,
                                                   std::string json_body,
                                                   BodySink sink);

/// GETs a path and waits. Errors: those of `exchange`; a status other than 200.
Result<std::string> fetch(const Endpoint& endpoint, const std::string& path);

}  // namespace rubato
