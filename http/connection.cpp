#include "http/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <boost/asio.hpp>
#include <boost/beast/core/buffer_ref.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http.hpp>
#include <cctype>
#include <charconv>
#include <iterator>

#include "http/authorization.h"
#include "http/openai/error.h"
#include "http/request_checks.h"
#include "runtime/base/concat.h"
#include "runtime/base/log.h"

namespace rubato {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::awaitable;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// How much, and for how long, a client may still send before it is cut off.
constexpr std::size_t kMostDiscardedBytes = 64 << 20;
constexpr std::chrono::seconds kMostDiscardingTime{5};

// How often to check whether a client whose bytes are not being read has closed.
constexpr std::chrono::milliseconds kLookAgain{250};

Refusal bad_request(std::string message) {
  return {400, {Code::kInvalidArgument, std::move(message)}};
}

Refusal too_large(int status, const char* what, const std::string& limit) {
  return {status, {Code::kInvalidArgument, concat("the ", what, " has more than ", limit)}};
}

/// Whether a socket with nothing to read may still have something to read later.
bool is_open(asio::ip::tcp::socket& socket) {
  char byte = 0;
  const ssize_t count = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return count > 0 || (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
}

/// Whether the other side has closed, even if there are still bytes to read.
bool has_left(asio::ip::tcp::socket& socket) {
  pollfd looked{.fd = socket.native_handle(), .events = POLLRDHUP, .revents = 0};
  return ::poll(&looked, 1, /*timeout=*/0) == 1;
}

std::string hexadecimal(std::size_t number) {
  char digits[2 * sizeof number];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), number, 16).ptr;
  return std::string(std::begin(digits), end);
}

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, const ServerConfig& config)
    : socket_(std::move(socket)),
      deadline_(socket_.get_executor()),
      config_(config),
      buffer_(config.max_header_bytes),
      next_look_(socket_.get_executor()),
      written_(socket_.get_executor()) {
  written_.expires_at(asio::steady_timer::time_point::max());
}

awaitable<std::optional<Refusal>> Connection::read(HttpRequest& request) {
  stays_open_ = false;
  if (buffer_.size() == 0) {  // waiting for a request: not a slow request
    set_deadline(config_.idle_timeout, Passing::kStopsReading);
    auto [error, count] =
        co_await socket_.async_read_some(buffer_.prepare(buffer_.max_size()), kAwait);
    if (error) {
      clear_deadline();  // a pending wait keeps the socket open
      co_return Refusal();
    }
    buffer_.commit(count);
  }
  set_deadline(config_.request_timeout, Passing::kStopsReading);
  std::optional<Refusal> refusal = co_await read_in_time(request);
  clear_deadline();
  read_whole_ = !refusal;
  stays_open_ = !refusal && request.keep_alive();
  header_only_ = request.method() == http::verb::head;
  chunked_ = request.version() >= 11;
  co_return refusal;
}

awaitable<std::optional<Refusal>> Connection::read_in_time(HttpRequest& request) {
  http::request_parser<http::string_body> parser;
  parser.header_limit(static_cast<std::uint32_t>(buffer_.max_size()));
  parser.body_limit(static_cast<std::uint64_t>(config_.max_body_bytes));
  const std::optional<Refusal> refusal = co_await read_header(parser);
  const http::request_header<> header = parser.get().base();  // before trailers are mixed in
  request.base() = header;
  if (refusal) co_return refusal;
  if (const Status allowed = authorize(header, config_); !allowed) {
    Refusal unauthorized{http_status(allowed.error()), allowed.error()};
    co_return unauthorized;
  }
  if (beast::iequals(header[http::field::expect], "100-continue")) {
    HttpResponse go_on(http::status::continue_, 11);
    co_await http::async_write(socket_, go_on, kAwait);
  }
  auto [body_error, body_size] = co_await http::async_read(socket_, buffer_, parser, kAwait);
  if (body_error) co_return refusal_of(body_error);
  request = parser.release();
  request.base() = header;
  co_return std::nullopt;
}

awaitable<std::optional<Refusal>> Connection::read_header(
    http::request_parser<http::string_body>& parser) {
  if (std::isalpha(bytes_read().front()) == 0) co_return bad_request("malformed HTTP: no method");
  auto [read_error, size] =
      co_await asio::async_read_until(socket_, beast::ref(buffer_), "\r\n\r\n", kAwait);
  if (read_error) co_return refusal_of(read_error);
  const std::string_view raw = bytes_read().substr(0, size);
  const bool folded = is_folded(raw);
  beast::error_code error;
  buffer_.consume(parser.put(asio::buffer(raw), error));
  if (error) co_return refusal_of(error);
  if (folded) co_return bad_request("a header field is folded over lines");
  const http::request_header<>& header = parser.get().base();
  if (std::distance(header.begin(), header.end()) > config_.max_header_fields)
    co_return too_large(431, "header", concat(config_.max_header_fields, " fields"));
  if (const std::string fault = header_fault(header); !fault.empty()) co_return bad_request(fault);
  co_return std::nullopt;
}

std::string_view Connection::bytes_read() const {
  return {static_cast<const char*>(buffer_.data().data()), buffer_.size()};
}

Refusal Connection::refusal_of(beast::error_code error) const {
  if (timed_out_) return {408, {Code::kDeadline, "the request took too long to arrive"}};
  if (error == http::error::body_limit)
    return too_large(413, "body", concat(config_.max_body_bytes, " bytes"));
  if (error == http::error::header_limit || error == http::error::buffer_overflow ||
      error == asio::error::not_found)  // the buffer is full without the end of the header
    return too_large(431, "header", concat(config_.max_header_bytes, " bytes"));
  const bool gone = error == http::error::end_of_stream || error == http::error::partial_message;
  if (gone || error.category() != http::make_error_code(http::error::bad_method).category())
    return {};
  return bad_request(concat("malformed HTTP: ", error.message()));
}

awaitable<bool> Connection::send(HttpResponse response) {
  response.keep_alive(stays_open_);
  if (stays_open_ && !chunked_) response.set(http::field::connection, "keep-alive");  // HTTP/1.0
  set_deadline(config_.request_timeout, Passing::kCloses);
  http::response_serializer<http::string_body> serializer(response);
  beast::error_code failure;
  if (header_only_) {
    auto [error, count] = co_await http::async_write_header(socket_, serializer, kAwait);
    failure = error;
  } else {
    auto [error, count] = co_await http::async_write(socket_, serializer, kAwait);
    failure = error;
  }
  clear_deadline();
  co_return !failure;
}

awaitable<bool> Connection::begin_stream(StreamHeader header) {
  unsent_.clear();
  broken_ = false;
  stays_open_ = stays_open_ && chunked_;
  header.keep_alive(stays_open_);
  if (chunked_) header.chunked(true);
  set_deadline(config_.request_timeout, Passing::kCloses);
  http::response_serializer<http::empty_body> serializer(header);
  auto [error, count] = co_await http::async_write_header(socket_, serializer, kAwait);
  clear_deadline();
  co_return !error;
}

bool Connection::send_part(std::string_view part) {
  if (std::ssize(unsent_) > config_.max_unsent_bytes && !broken_) {
    log_info("a client that reads its stream too slowly is disconnected");
    broken_ = true;
    boost::system::error_code ignored;
    socket_.close(ignored);
  }
  if (broken_) return false;
  if (chunked_) {
    unsent_ += concat(hexadecimal(part.size()), "\r\n", part, "\r\n");
  } else {
    unsent_ += part;
  }
  if (writing_.empty()) write_parts();
  return true;
}

void Connection::write_parts() {
  writing_.swap(unsent_);
  set_deadline(config_.request_timeout, Passing::kCloses);
  const auto on_written = [self = shared_from_this()](beast::error_code error, std::size_t) {
    self->clear_deadline();
    self->writing_.clear();
    self->broken_ = self->broken_ || error;
    if (!self->broken_ && !self->unsent_.empty()) return self->write_parts();
    self->written_.cancel();
  };
  asio::async_write(socket_, asio::buffer(writing_), on_written);
}

awaitable<bool> Connection::end_stream() {
  constexpr std::string_view kLastChunk = "0\r\n\r\n";
  if (chunked_) unsent_ += kLastChunk;  // else the stream ends with the connection
  if (writing_.empty() && !unsent_.empty() && !broken_) write_parts();
  while (!writing_.empty()) co_await written_.async_wait(kAwait);
  co_return !broken_;
}

void Connection::watch(std::function<void()> on_leave) {
  on_leave_ = std::move(on_leave);
  wait_for_leave(watch_);
}

void Connection::stop_watching() {
  ++watch_;
  on_leave_ = nullptr;
  next_look_.cancel();
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

void Connection::wait_for_leave(int watch) {
  const auto on_readable = [self = shared_from_this(), watch](beast::error_code error) {
    if (error || watch != self->watch_) return;
    const std::size_t there = self->socket_.available(error);
    if (error || there == 0) {
      // Nothing to read: either the end, or another thread has read it meanwhile.
      if (!error && is_open(self->socket_)) return self->wait_for_leave(watch);
      self->on_leave_();
      return;
    }
    const std::size_t room = self->buffer_.max_size() - self->buffer_.size();
    if (room == 0) return self->look_for_leave(watch);  // enough for now
    const std::size_t count = std::min(there, room);
    self->buffer_.commit(self->socket_.read_some(self->buffer_.prepare(count), error));
    self->wait_for_leave(watch);
  };
  socket_.async_wait(asio::ip::tcp::socket::wait_read, on_readable);
}

void Connection::look_for_leave(int watch) {
  next_look_.expires_after(kLookAgain);
  next_look_.async_wait([self = shared_from_this(), watch](beast::error_code error) {
    if (error || watch != self->watch_) return;
    if (!has_left(self->socket_)) return self->look_for_leave(watch);
    self->on_leave_();
  });
}

awaitable<void> Connection::close() {
  clear_deadline();
  beast::error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  // Closing with unread bytes resets the connection, and the client could lose the answer.
  if (read_whole_ && socket_.available(ignored) == 0) co_return;
  set_deadline(kMostDiscardingTime, Passing::kCloses);
  buffer_.clear();
  for (std::size_t discarded = 0; discarded < kMostDiscardedBytes;) {
    auto [error, count] =
        co_await socket_.async_read_some(buffer_.prepare(buffer_.max_size()), kAwait);
    if (error) break;
    discarded += count;
  }
  clear_deadline();
}

void Connection::set_deadline(std::chrono::milliseconds limit, Passing passing) {
  timed_out_ = false;
  deadline_.expires_after(limit);
  deadline_.async_wait(
      [self = shared_from_this(), passing, number = ++deadline_number_](beast::error_code error) {
        if (error || number != self->deadline_number_) return;
        self->timed_out_ = true;
        // Not `cancel`, which misses an operation that is between two reads or writes.
        boost::system::error_code ignored;
        if (passing == Passing::kCloses) {
          self->socket_.close(ignored);
        } else {  // so that a refusal can still be written
          self->socket_.shutdown(asio::ip::tcp::socket::shutdown_receive, ignored);
        }
      });
}

void Connection::clear_deadline() {
  ++deadline_number_;
  deadline_.cancel();
}

}  // namespace rubato
