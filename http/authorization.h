#pragma once

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>

#include "http/server_config.h"
#include "runtime/base/error.h"

namespace rubato {

/// Whether a request may be served. Errors: kUnauthenticated, if its route needs a key and it has
/// no valid one. Checked before the body is read, so that unauthenticated clients cannot make the
/// server hold their bodies. /health, /health/live, the page (which contains no user data) and CORS
/// preflight requests need no key.
Status authorize(const boost::beast::http::request_header<>& header, const ServerConfig& config);

}  // namespace rubato
