#include "http/request_checks.h"

#include <boost/beast/http/field.hpp>
#include <charconv>

namespace rubato {

namespace http = boost::beast::http;

std::string header_fault(const http::request_header<>& header) {
  if (header.version() != 11 && header.version() != 10) return "the HTTP version is not supported";
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
  const std::string_view length = header[http::field::content_length];
  if (length.find_first_not_of("0123456789") != std::string_view::npos)
    return "Content-Length must be one number";
  return {};
}

bool is_folded(std::string_view raw) {
  return raw.find("\r\n ") != std::string_view::npos ||
         raw.find("\r\n\t") != std::string_view::npos;
}

std::string path_of(std::string_view target) {
  target = target.substr(0, target.find('?'));
  if (!target.starts_with('/')) {
    const std::size_t authority = target.find("://");
    const std::size_t path =
        authority == std::string_view::npos ? authority : target.find('/', authority + 3);
    if (path != std::string_view::npos) target.remove_prefix(path);
  }
  std::string decoded;
  while (!target.empty()) {
    unsigned char byte = 0;
    const char* digits = target.data() + 1;
    if (target.size() >= 3 && target[0] == '%' &&
        std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      decoded += static_cast<char>(byte);
      target.remove_prefix(3);
    } else {
      decoded += target[0];
      target.remove_prefix(1);
    }
  }
  return decoded;
}

}  // namespace rubato
