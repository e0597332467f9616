#include "benchmarks/serving/address.h"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include "runtime/base/concat.h"

namespace rubato {

std::string ServerAddress::url() const {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return concat("http://", is_ipv6 ? "[" + host + "]" : host, ":", port, prefix);
}

Result<ServerAddress> parse_address(std::string_view url) {
  const auto invalid = [url](std::string_view why) {
    return Error{Code::kInvalidArgument,
                 concat("--url \"", url, "\" ", why, "; wanted is http://HOST[:PORT]"),
                 "--url"};
  };
  const auto parsed = boost::urls::parse_uri(url);
  if (!parsed) return invalid("is no URL");
  if (parsed->scheme() != "http") return invalid("does not begin with http://");
  if (parsed->host_address().empty()) return invalid("names no host");
  if (parsed->has_userinfo() || parsed->has_query() || parsed->has_fragment())
    return invalid("has more than a host, a port and a path");
  std::string prefix(parsed->encoded_path());
  for (const std::string_view tail : {"/", "/v1"}) {
    if (prefix.ends_with(tail)) prefix.resize(prefix.size() - tail.size());
  }
  const std::string port(parsed->port());
  return ServerAddress{parsed->host_address(), port.empty() ? "80" : port, std::move(prefix)};
}

}  // namespace rubato
