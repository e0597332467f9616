#include "http/request_checks.h"

#include <boost/beast/http/field.hpp>
#include <iterator>

namespace rubato {

namespace http = boost::beast::http;

std::string header_fault(const http::request_header<>& header, int max_fields) {
  if (header.version() != 11 && header.version() != 10) return "the HTTP version is not supported";
  if (std::distance(header.begin(), header.end()) > max_fields)
    return "there are too many header fields";
  const auto hosts = header.count(http::field::host);
  if (hosts > 1 || (header.version() == 11 && hosts == 0)) return "there must be one Host field";
  const auto encodings = header.count(http::field::transfer_encoding);
  if (encodings > 0) {
    if (header.version() == 10) return "HTTP/1.0 has no Transfer-Encoding";
    if (encodings > 1 || header[http::field::transfer_encoding] != "chunked")
      return "the only Transfer-Encoding is `chunked`";
    if (header.count(http::field::content_length) > 0)
      return "Content-Length and Transfer-Encoding exclude each other";
  }
  if (header.count(http::field::content_length) > 1) return "there is more than one Content-Length";
  for (const auto& field : header) {
    if (field.value().find_first_of("\r\n") != std::string_view::npos)
      return "a header field is folded over lines";
  }
  return {};
}

}  // namespace rubato
