#pragma once

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <string>
#include <string_view>

namespace rubato {

/// What Beast's parser lets through and a server must not (ambiguous framing is how requests are
/// smuggled past a proxy): empty when the header is sound, else what is wrong with it.
std::string header_fault(const boost::beast::http::request_header<>& header);

/// Whether a header as it was sent has a field that goes on in a further line, which Beast joins.
bool is_folded(std::string_view raw);

/// The path that a request target names: without scheme and authority, without query, and with %XX
/// read as the byte it stands for.
std::string path_of(std::string_view target);

}  // namespace rubato
