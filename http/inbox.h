#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>

#include "runtime/engine/generation.h"

namespace rubato {

/// The news of one request's generations, from the engine's thread to the session's strand. All but
/// `sink`'s product is used on that strand only.
class Inbox : public std::enable_shared_from_this<Inbox> {
 public:
  struct News {
    std::size_t choice = 0;
    GenerationUpdate update;
  };

  explicit Inbox(const boost::asio::any_io_executor& strand);

  /// Where the engine puts a choice's updates. It keeps the inbox no longer than the session does,
  /// which the engine may not know to be over.
  UpdateSink sink(std::size_t choice);

  /// Waits until there is something for `next`, or `until` has come; whether there is.
  boost::asio::awaitable<bool> comes_by(std::chrono::steady_clock::time_point until);

  /// The next piece of news, or nothing when the client has gone.
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
