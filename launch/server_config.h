#pragma once

#include "http/server.h"
#include "launch/config.h"

namespace rubato {

/// The environment variable that holds access keys, one a line. It adds to server.api_key_file.
inline constexpr const char* kAccessKeyVariable = "RUBATO_API_KEY";

/// The front end's settings, the access keys read from where the configuration and the environment
/// say. Errors: kInvalidArgument, naming the file or the variable, never a key.
Result<ServerConfig> server_config(const ServerSection& section);

}  // namespace rubato
