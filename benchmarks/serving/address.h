#pragma once

#include <string>
#include <string_view>

#include "runtime/base/error.h"

namespace rubato {

/// A server's address, parsed from "http://HOST[:PORT][/PREFIX]".
struct ServerAddress {
  std::string host;
  std::string port;
  std::string prefix;  ///< before every route; empty, or begins with a slash

  bool operator==(const ServerAddress&) const = default;

  /// The address for display.
  std::string url() const;
};

/// Removes a final slash or "/v1", since users paste both. Errors: kInvalidArgument, naming what
/// cannot be parsed.
Result<ServerAddress> parse_address(std::string_view url);

}  // namespace rubato
