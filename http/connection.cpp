#include "http/connection.h"

#include <boost/asio.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http.hpp>
#include <iterator>

#include "http/request_checks.h"
#include "runtime/base/concat.h"

namespace rubato {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::awaitable;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// What a client that is still sending may send, and for how long, before it is cut off.
constexpr std::size_t kMostDiscardedBytes = 64 << 20;
constexpr int kMostDiscardingSeconds = 5;

constexpr std::size_t kReadBytes = 4096;

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, const ServerConfig& config)
    : socket_(std::move(socket)), deadline_(socket_.get_executor()), config_(config) {}

awaitable<std::optional<Refusal>> Connection::read(HttpRequest& request) {
  stays_open_ = false;
  if (buffer_.size() == 0) {  // waiting for a request is not being slow with one
    set_deadline(config_.idle_timeout_s);
    auto [error, count] = co_await socket_.async_read_some(buffer_.prepare(kReadBytes), kAwait);
    if (error) co_return Refusal();
    buffer_.commit(count);
  }
  set_deadline(config_.request_timeout_s);
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
  parser.header_limit(static_cast<std::uint32_t>(config_.max_header_bytes));
  parser.body_limit(static_cast<std::uint64_t>(config_.max_body_bytes));
  auto [header_error, header_size] =
      co_await http::async_read_header(socket_, buffer_, parser, kAwait);
  const http::request_header<> header = parser.get().base();  // before trailers are mixed in
  request.base() = header;
  if (header_error) co_return refusal_of(header_error);
  if (std::distance(header.begin(), header.end()) > config_.max_header_fields) {
    Refusal many{431, {Code::kInvalidArgument, "", ""}};
    many.error.message =
        concat("there are more than ", config_.max_header_fields, " header fields");
    co_return many;
  }
  if (std::string fault = header_fault(header); !fault.empty()) {
    Refusal unsound{400, {Code::kInvalidArgument, std::move(fault), ""}};
    co_return unsound;
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

Refusal Connection::refusal_of(beast::error_code error) const {
  if (timed_out_) return {408, {Code::kDeadline, "the request took too long to arrive"}};
  if (error == http::error::body_limit) {
    return {413,
            {Code::kInvalidArgument,
             concat("the body is larger than ", config_.max_body_bytes, " bytes")}};
  }
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return {431,
            {Code::kInvalidArgument,
             concat("the header is larger than ", config_.max_header_bytes, " bytes")}};
  }
  const bool gone = error == http::error::end_of_stream || error == http::error::partial_message;
  if (gone || error.category() != http::make_error_code(http::error::bad_method).category())
    return {};
  return {400, {Code::kInvalidArgument, concat("malformed HTTP: ", error.message())}};
}

awaitable<bool> Connection::send(HttpResponse response) {
  response.keep_alive(stays_open_);
  set_deadline(config_.request_timeout_s);
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
  stays_open_ = stays_open_ && chunked_;
  header.keep_alive(stays_open_);
  if (chunked_) header.chunked(true);
  set_deadline(config_.request_timeout_s);
  http::response_serializer<http::empty_body> serializer(header);
  auto [error, count] = co_await http::async_write_header(socket_, serializer, kAwait);
  clear_deadline();
  co_return !error;
}

awaitable<bool> Connection::send_part(std::string part) {
  set_deadline(config_.request_timeout_s);
  const asio::const_buffer bytes(part.data(), part.size());
  beast::error_code failure;
  if (chunked_) {
    auto [error, count] = co_await asio::async_write(socket_, http::make_chunk(bytes), kAwait);
    failure = error;
  } else {
    auto [error, count] = co_await asio::async_write(socket_, bytes, kAwait);
    failure = error;
  }
  clear_deadline();
  co_return !failure;
}

awaitable<bool> Connection::end_stream() {
  if (!chunked_) co_return true;  // the end of the connection is the end of the stream
  set_deadline(config_.request_timeout_s);
  auto [error, count] = co_await asio::async_write(socket_, http::make_chunk_last(), kAwait);
  clear_deadline();
  co_return !error;
}

void Connection::watch(std::function<void()> on_leave) {
  on_leave_ = std::move(on_leave);
  wait_for_leave(watch_);
}

void Connection::stop_watching() {
  ++watch_;
  on_leave_ = nullptr;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

void Connection::wait_for_leave(int watch) {
  const auto on_readable = [self = shared_from_this(), watch](beast::error_code error) {
    if (error || watch != self->watch_) return;
    const std::size_t there = std::min(self->socket_.available(error), kReadBytes);
    if (error || there == 0) {  // readable, but nothing to read: the end
      self->on_leave_();
      return;
    }
    self->buffer_.commit(self->socket_.read_some(self->buffer_.prepare(there), error));
    if (std::cmp_less(self->buffer_.size(), self->config_.max_header_bytes))
      self->wait_for_leave(watch);
  };
  socket_.async_wait(asio::ip::tcp::socket::wait_read, on_readable);
}

awaitable<void> Connection::close() {
  beast::error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  // Closing with unread bytes resets the connection, which would take the answer from the client.
  if (read_whole_ && socket_.available(ignored) == 0) co_return;
  set_deadline(kMostDiscardingSeconds);
  buffer_.clear();
  for (std::size_t discarded = 0; discarded < kMostDiscardedBytes;) {
    auto [error, count] = co_await socket_.async_read_some(buffer_.prepare(kReadBytes), kAwait);
    if (error) break;
    discarded += count;
  }
  clear_deadline();
}

void Connection::set_deadline(int seconds) {
  timed_out_ = false;
  deadline_.expires_after(std::chrono::seconds(seconds));
  deadline_.async_wait([self = shared_from_this()](beast::error_code error) {
    // One that had come to pass just before it was set anew is of no account.
    if (error || self->deadline_.expiry() > asio::steady_timer::clock_type::now()) return;
    self->timed_out_ = true;
    boost::system::error_code ignored;
    self->socket_.cancel(ignored);
  });
}

void Connection::clear_deadline() {
  deadline_.expires_at(asio::steady_timer::time_point::max());
}

}  // namespace rubato
