#include "http/admission.h"

#include "http/page.h"
#include "http/request_checks.h"

namespace rubato {

namespace http = boost::beast::http;

std::optional<Error> refuse_stranger(const http::request_header<>& header,
                                     const ServerConfig& config) {
  if (!config.keys.required()) return std::nullopt;
  const std::string path = path_of(header.target());
  if (path == "/health" || path == "/health/live") return std::nullopt;
  const bool looks = header.method() == http::verb::get || header.method() == http::verb::head;
  if (looks && find_page_file(path) != nullptr) return std::nullopt;
  const bool preflight = header.method() == http::verb::options && config.cross_origin.open();
  if (preflight) return std::nullopt;
  const std::string_view authorization = header[http::field::authorization];
  if (header.count(http::field::authorization) == 1 && config.keys.admits(authorization))
    return std::nullopt;
  return Error{Code::kUnauthenticated,
               authorization.empty()
                   ? "an API key is required: send it as `Authorization: Bearer KEY`"
                   : "the API key is not one that this server knows"};
}

}  // namespace rubato
