#include "http/authorization.h"

#include "http/request_checks.h"
#include "http/route_table.h"

namespace rubato {

namespace http = boost::beast::http;

Status authorize(const http::request_header<>& header, const ServerConfig& config) {
  if (!config.keys.required()) return {};
  const PathEntry& entry = find_path(path_of(header.target()));
  const bool looks = header.method() == http::verb::get || header.method() == http::verb::head;
  if (entry.open_to_all && (looks || entry.route != Route::kPage)) return {};
  const bool preflight = header.method() == http::verb::options && config.cross_origin.open();
  if (preflight) return {};
  const std::string_view authorization = header[http::field::authorization];
  if (header.count(http::field::authorization) == 1 && config.keys.admits(authorization)) return {};
  return Error{Code::kUnauthenticated,
               authorization.empty()
                   ? "an API key is required: send it as `Authorization: Bearer KEY`"
                   : "the API key is not one that this server knows"};
}

}  // namespace rubato
