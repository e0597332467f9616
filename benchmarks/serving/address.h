#pragma once

#include <string>
#include <string_view>

#include "runtime/base/error.h"

namespace rubato {

/// Where a server listens, taken apart from "http://HOST[:PORT][/PREFIX]".
struct ServerAddress {
  std::string host;
  std::string port;
  std::string prefix;  ///< before every route; empty, or begins with a slash

  bool operator==(const ServerAddress&) const = default;

  /// The address as it is shown.
  std::string url() const;
};

/// A final slash or "/v1" is taken off, for users paste both. Errors: kInvalidArgument, naming what
/// is not understood.
Result<ServerAddress> parse_address(std::string_view url);

}  // namespace rubato
