#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <optional>

#include "http/metrics/server_metrics.h"
#include "http/server.h"

namespace rubato {

/// What all sessions of a server share; outlives them.
struct SessionContext {
  const ServerConfig& config;
  const std::atomic<const Served*>& served;  ///< null: still loading
  std::atomic<int>& active_requests;
  ServerMetrics& metrics;
  boost::asio::any_io_executor reader;  ///< parses bodies that would block a strand for too long
};

/// Serves one connection until it closes, falls silent or breaks the protocol. Runs on the socket's
/// strand.
boost::asio::awaitable<void> serve_connection(boost::asio::ip::tcp::socket socket,
                                              const SessionContext& context);

}  // namespace rubato
