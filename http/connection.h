#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/server_config.h"
#include "runtime/base/error.h"

namespace rubato {

using HttpRequest = boost::beast::http::request<boost::beast::http::string_body>;
using HttpResponse = boost::beast::http::response<boost::beast::http::string_body>;
using StreamHeader = boost::beast::http::response<boost::beast::http::empty_body>;

/// Why a request could not be read.
struct Refusal {
  int status = 0;  ///< of the answer; 0: no answer is sent
  Error error;
};

/// One client's socket: reads requests and writes answers, each with a deadline. Kept alive by its
/// pending operations. Runs on the socket's strand; one read or write at a time.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// `config` must outlive it.
  Connection(boost::asio::ip::tcp::socket socket, const ServerConfig& config);

  boost::asio::any_io_executor strand() { return socket_.get_executor(); }

  /// Reads the next request. If it is refused, `request` has what was read of it.
  boost::asio::awaitable<std::optional<Refusal>> read(HttpRequest& request);

  /// Whether another request may follow the current answer.
  bool stays_open() const { return stays_open_; }
  void close_after_answer() { stays_open_ = false; }

  /// These return whether the write succeeded. The answer to a HEAD request is its header only.
  boost::asio::awaitable<bool> send(HttpResponse response);
  boost::asio::awaitable<bool> begin_stream(StreamHeader header);

  /// Sends a part of the stream, at once or as soon as the earlier parts are written, without
  /// waiting. False: the connection is broken, or was closed just now because the client reads too
  /// slowly and more than `max_unsent_bytes` are unsent.
  bool send_part(std::string_view part);

  /// Waits until all parts are written.
  boost::asio::awaitable<bool> end_stream();

  /// Calls `on_leave` once if the client closes its side before `stop_watching`. Bytes that the
  /// client sends meanwhile, the start of another request, are kept for `read`.
  void watch(std::function<void()> on_leave);
  void stop_watching();

  /// Closes such that the client can read the answer even if it is still sending.
  boost::asio::awaitable<void> close();

 private:
  enum class Passing { kStopsReading, kCloses };  // what happens when a deadline passes

  boost::asio::awaitable<std::optional<Refusal>> read_in_time(HttpRequest& request);
  boost::asio::awaitable<std::optional<Refusal>> read_header(
      boost::beast::http::request_parser<boost::beast::http::string_body>& parser);
  std::string_view bytes_read() const;
  Refusal refusal_of(boost::system::error_code error) const;
  void wait_for_leave(int watch);
  void look_for_leave(int watch);  // polls for it once no more bytes are read
  void write_parts();
  void set_deadline(std::chrono::milliseconds limit, Passing passing);
  void clear_deadline();

  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer deadline_;
  const ServerConfig& config_;
  boost::beast::flat_buffer buffer_;  // what was read and not yet used; at most a header's size
  std::function<void()> on_leave_;
  int watch_ = 0;  // the one under way, or the next
  boost::asio::steady_timer next_look_;
  std::uint64_t deadline_number_ = 0;  // tells one that passed just before it was cleared
  bool timed_out_ = false;
  bool stays_open_ = false;
  bool read_whole_ = true;             // the request under way was read to its end
  bool header_only_ = false;           // of the answer: the request is a HEAD
  bool chunked_ = true;                // what a stream is sent in; HTTP/1.0 has no chunks
  std::string writing_;                // of a stream, with the framing: the write under way
  std::string unsent_;                 // what is to be written after that
  bool broken_ = false;                // no more of the stream can be written
  boost::asio::steady_timer written_;  // cancelled when nothing is left to write, or it is broken
};

}  // namespace rubato
