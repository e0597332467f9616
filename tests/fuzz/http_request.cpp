// A connection's bytes, in pieces, to a whole session over an engine that answers at once.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <string>

#include "runtime/base/check.h"
#include "tests/fuzz/front.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/targets.h"

namespace rubato::fuzz {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

/// The client's end of a connection, which never waits.
class Client {
 public:
  Client() {
    RUBATO_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends_) == 0);
  }
  ~Client() { ::close(ends_[0]); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  int servers_end() const { return ends_[1]; }

  /// How much of it went.
  std::size_t send(std::string_view bytes) const {
    const ssize_t sent = ::send(ends_[0], bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
  }

  void finish() const { ::shutdown(ends_[0], SHUT_WR); }

  /// Takes in what has come.
  void receive() {
    char bytes[4096];
    ssize_t count = 0;
    while ((count = ::recv(ends_[0], bytes, sizeof bytes, 0)) > 0)
      received_.append(bytes, static_cast<std::size_t>(count));
  }

  const std::string& received() const { return received_; }

 private:
  int ends_[2] = {-1, -1};
  std::string received_;
};

/// A JSON body has no line ends, so that this cannot be one's text.
bool tells_of_failure(const std::string& received) {
  return received.find("HTTP/1.1 500 Internal Server Error\r\n") != std::string::npos;
}

}  // namespace

void http_request(std::string_view bytes) {
  Input input(bytes);
  const bool with_keys = input.flag();
  const std::size_t piece = 1 + std::size_t{input.byte()} * input.byte();
  std::string_view unsent = input.rest();
  Client client;
  asio::io_context io;
  bool done = false;
  tcp::socket socket(asio::make_strand(io), tcp::v4(), client.servers_end());
  const auto strand = socket.get_executor();
  asio::co_spawn(strand,
                 serve_connection(std::move(socket), front().session(with_keys)),
                 [&done](const std::exception_ptr& failure) {
                   RUBATO_CHECK(failure == nullptr);
                   done = true;
                 });
  while (!done) {
    const bool quiet = io.poll() == 0;
    client.receive();
    if (!quiet || done) continue;
    unsent.remove_prefix(client.send(unsent.substr(0, piece)));
    if (unsent.empty()) client.finish();
  }
  client.receive();
  const std::string& answer = client.received();
  RUBATO_CHECK(answer.empty() || answer.starts_with("HTTP/1.1 "), answer);
  RUBATO_CHECK(!tells_of_failure(answer), answer);
}

}  // namespace rubato::fuzz
