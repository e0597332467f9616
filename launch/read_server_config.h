#pragma once

#include <string>

#include "http/server_config.h"
#include "launch/config.h"

namespace rubato {

/// The environment variable that holds access keys, one a line. It adds to server.api_key_file.
inline constexpr const char* kAccessKeyVariable = "RUBATO_API_KEY";

/// The front end's settings, with the access keys from the configured file and the environment.
/// Errors: kInvalidArgument, naming the key, the file or the variable, never an access key.
Result<ServerConfig> read_server_config(const ServerSection& section);

/// The URL of a server that listens on that address; IPv6 addresses in brackets.
std::string url_of(const std::string& bind, int port);

}  // namespace rubato
