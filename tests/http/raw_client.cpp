#include "tests/http/raw_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/beast/http/parser.hpp>

#include "runtime/base/check.h"

namespace rubato::testing {

namespace http = boost::beast::http;

RawClient::RawClient(std::uint16_t port, int receive_buffer)
    : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (receive_buffer > 0)
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  RUBATO_CHECK(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
}

RawClient::~RawClient() {
  leave();
}

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool RawClient::receive() {
  constexpr int kPatienceMs = 20'000;
  pollfd waiting{.fd = socket_, .events = POLLIN, .revents = 0};
  RUBATO_CHECK(::poll(&waiting, 1, kPatienceMs) == 1, "the server neither answers nor closes");
  const auto room = buffer_.prepare(4096);
  const ssize_t count = ::recv(socket_, room.data(), room.size(), 0);
  if (count <= 0) return false;
  buffer_.commit(static_cast<std::size_t>(count));
  return true;
}

std::string RawClient::read_until(std::string_view end) {
  for (;;) {
    const std::string_view there(static_cast<const char*>(buffer_.data().data()), buffer_.size());
    const std::size_t found = there.find(end);
    if (found != std::string_view::npos) {
      std::string bytes(there.substr(0, found + end.size()));
      buffer_.consume(bytes.size());
      return bytes;
    }
    RUBATO_CHECK(receive(), "the server closed before it sent ", end);
  }
}

Reply RawClient::read(bool to_head) {
  http::response_parser<http::string_body> parser;
  parser.eager(true);
  parser.skip(to_head);
  for (;;) {
    boost::beast::error_code error = http::error::need_more;
    if (buffer_.size() > 0) buffer_.consume(parser.put(buffer_.data(), error));
    if (parser.is_done()) return parser.release();
    RUBATO_CHECK(!error || error == http::error::need_more, error.message());
    if (receive()) continue;
    parser.put_eof(error);
    RUBATO_CHECK(parser.is_done(), "the server closed in the middle of an answer");
    return parser.release();
  }
}

bool RawClient::closed() {
  return buffer_.size() == 0 && !receive();
}

void RawClient::half_close() {
  ::shutdown(socket_, SHUT_WR);
}

void RawClient::leave() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

std::string post(std::string_view path, std::string_view body, std::string_view more_fields) {
  return "POST " + std::string(path) +
         " HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n" + std::string(more_fields) + "\r\n" +
         std::string(body);
}

std::string get(std::string_view path, std::string_view more_fields) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: test\r\n" + std::string(more_fields) +
         "\r\n";
}

}  // namespace rubato::testing
