#pragma once

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <optional>

#include "http/server.h"
#include "runtime/base/error.h"

namespace rubato {

/// Whether a request may come in, as far as its header tells; an error where it may not: it has no
/// key and needs one. Asked before the body is read, so that strangers cannot make us hold theirs.
/// Everybody may ask for /health and /health/live and look at the page, which holds nothing of
/// anybody's, and browsers may ask what pages may do.
std::optional<Error> refuse_stranger(const boost::beast::http::request_header<>& header,
                                     const ServerConfig& config);

}  // namespace rubato
