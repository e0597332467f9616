#include "http/cross_origin.h"

#include <algorithm>
#include <boost/beast/http/field.hpp>

#include "runtime/base/concat.h"

namespace rubato {

namespace http = boost::beast::http;

Result<CrossOrigin> CrossOrigin::parse(std::string_view origins) {
  CrossOrigin made;
  while (!origins.empty()) {
    const std::size_t end = std::min(origins.find_first_of(" ,"), origins.size());
    const std::string_view origin = origins.substr(0, end);
    origins.remove_prefix(std::min(end + 1, origins.size()));
    if (origin.empty()) continue;
    const std::size_t host = origin.find("://");
    const bool sound = host != std::string_view::npos && host > 0 && origin.size() > host + 3 &&
                       origin.find('/', host + 3) == std::string_view::npos;
    if (origin == "*") {
      made.all_ = true;
    } else if (sound) {
      made.origins_.emplace_back(origin);
    } else {
      return Error{Code::kInvalidArgument,
                   concat("server.cors_origins has \"",
                          origin,
                          "\"; allowed: origins such as https://example.org, or *"),
                   "server.cors_origins"};
    }
  }
  return made;
}

bool CrossOrigin::allows(std::string_view origin) const {
  return !origin.empty() && (all_ || std::ranges::find(origins_, origin) != origins_.end());
}

void CrossOrigin::permit(const http::fields& request, http::fields& answer) const {
  if (!open()) return;
  answer.set(http::field::vary, "Origin");
  const std::string_view origin = request[http::field::origin];
  if (!allows(origin)) return;
  answer.set(http::field::access_control_allow_origin, origin);
  answer.set(http::field::access_control_expose_headers, "X-Request-Id, Retry-After");
}

void CrossOrigin::permit_preflight(const http::fields& request, http::fields& answer) const {
  permit(request, answer);
  if (answer.count(http::field::access_control_allow_origin) == 0) return;
  answer.set(http::field::access_control_allow_methods, "GET, HEAD, POST");
  answer.set(http::field::access_control_max_age, "600");
  // "*" would not cover Authorization, which must be named.
  const std::string_view wanted = request[http::field::access_control_request_headers];
  if (!wanted.empty()) answer.set(http::field::access_control_allow_headers, wanted);
}

}  // namespace rubato
