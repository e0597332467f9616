#pragma once

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <optional>

#include "http/server.h"
#include "runtime/base/error.h"

namespace rubato {

/// The error for a request without a valid key on a route that needs one; none if the request is
/// allowed. Checked before the body is read, so that unauthenticated clients cannot make the server
/// hold their bodies. /health, /health/live, the page (which contains no user data) and CORS
/// preflight requests need no key.
std::optional<Error> refuse_stranger(const boost::beast::http::request_header<>& header,
                                     const ServerConfig& config);

}  // namespace rubato
