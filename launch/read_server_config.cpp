#include "launch/read_server_config.h"

#include <cstdlib>

#include "http/server.h"
#include "launch/program.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

Result<AccessKeys> access_keys(const ServerSection& section) {
  AccessKeys keys;
  if (!section.api_key_file.empty()) {
    Result<AccessKeys> of_file = AccessKeys::read_file(section.api_key_file);
    if (!of_file) return of_file.error();
    keys.add(*of_file);
  }
  if (const char* text = std::getenv(kAccessKeyVariable)) {
    Result<AccessKeys> of_variable =
        AccessKeys::parse(text, std::string("the environment variable ") + kAccessKeyVariable);
    if (!of_variable) return of_variable.error();
    keys.add(*of_variable);
  }
  return keys;
}

}  // namespace

std::string url_of(const std::string& bind, int port) {
  const bool colons = bind.find(':') != std::string::npos;
  return concat("http://", colons ? "[" : "", bind, colons ? "]" : "", ":", port);
}

Result<ServerConfig> read_server_config(const ServerSection& section) {
  if (!is_address(section.bind)) {
    return Error{Code::kInvalidArgument,
                 concat("server.bind is \"",
                        section.bind,
                        "\"; allowed: an IP address such as 127.0.0.1, 0.0.0.0 or ::"),
                 "server.bind"};
  }
  Result<AccessKeys> keys = access_keys(section);
  if (!keys) return keys.error();
  Result<CrossOrigin> cross_origin = CrossOrigin::parse(section.cors_origins);
  if (!cross_origin) return cross_origin.error();
  return ServerConfig{.bind = section.bind,
                      .port = section.port,
                      .threads = section.threads,
                      .max_body_bytes = section.max_body_bytes,
                      .max_header_bytes = section.max_header_bytes,
                      .max_header_fields = section.max_header_fields,
                      .max_json_depth = section.max_json_depth,
                      .max_connections = section.max_connections,
                      .max_unsent_bytes = section.max_unsent_bytes,
                      .request_timeout = std::chrono::seconds(section.request_timeout_s),
                      .idle_timeout = std::chrono::seconds(section.idle_timeout_s),
                      .stream_heartbeat = std::chrono::ceil<std::chrono::milliseconds>(
                          std::chrono::duration<double>(section.stream_heartbeat_s)),
                      .version = program_version(),
                      .keys = std::move(keys).value(),
                      .cross_origin = std::move(cross_origin).value()};
}

}  // namespace rubato
