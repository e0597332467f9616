#pragma once

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <string>
#include <string_view>

namespace rubato {

/// Checks for what Beast's parser accepts but a server must refuse (ambiguous framing lets requests
/// be smuggled past a proxy): what is wrong with the header, or empty.
std::string header_fault(const boost::beast::http::request_header<>& header);

/// Whether a raw header has a field that continues on another line; Beast joins such lines.
bool is_folded(std::string_view raw);

/// The path of a request target: without scheme, authority and query, and with %XX decoded.
std::string path_of(std::string_view target);

}  // namespace rubato
