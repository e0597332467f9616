#pragma once

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace rubato::testing {

using Reply = boost::beast::http::response<boost::beast::http::string_body>;

/// A connection to a server on this machine that sends any bytes. Waiting for an answer ends the
/// test program after a while.
class RawClient {
 public:
  /// `receive_buffer`: bytes the system keeps for us unread; 0: its default.
  explicit RawClient(std::uint16_t port, int receive_buffer = 0);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  /// False when the server has closed meanwhile.
  bool send(std::string_view bytes);

  /// The bytes up to and including the next `end`.
  std::string read_until(std::string_view end);

  /// The next answer, whole; chunks joined. `to_head`: it has no body.
  Reply read(bool to_head = false);

  /// Whether the server closes without sending anything more.
  bool closed();

  /// No more is sent; answers can still be read.
  void half_close();

  /// Closes, as a client that goes away.
  void leave();

  /// The two at once.
  Reply ask(std::string_view bytes) {
    send(bytes);
    return read();
  }

 private:
  /// Takes in what comes next; false at the end.
  bool receive();

  int socket_ = -1;
  boost::beast::flat_buffer buffer_;
};

/// A request with `body` and the fields that belong to it.
std::string post(std::string_view path, std::string_view body, std::string_view more_fields = "");

/// A request without body.
std::string get(std::string_view path, std::string_view more_fields = "");

}  // namespace rubato::testing
