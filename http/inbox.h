#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>

#include "runtime/engine/generation.h"

namespace rubato {

/// Carries the updates of one request's generations from the engine thread to the session's strand.
/// Everything except the sinks that `sink` returns is used on that strand only.
class Inbox : public std::enable_shared_from_this<Inbox> {
 public:
  struct News {
    std::size_t choice = 0;
    GenerationUpdate update;
  };

  explicit Inbox(const boost::asio::any_io_executor& strand);

  /// The sink for a choice's updates. It does not keep the inbox alive: the session may end before
  /// the engine notices.
  UpdateSink sink(std::size_t choice);

  /// Waits until `next` has something to return, or until `until`. Returns whether it has.
  boost::asio::awaitable<bool> comes_by(std::chrono::steady_clock::time_point until);

  /// The next update, or nothing once the client has gone.
  boost::asio::awaitable<std::optional<News>> next();

  /// The client has gone.
  void leave();

 private:
  void add(News news);

  boost::asio::any_io_executor strand_;
  boost::asio::steady_timer wake_;
  std::deque<News> news_;
  bool client_gone_ = false;
};

}  // namespace rubato
