#pragma once

#include <boost/json/object.hpp>

#include "runtime/base/error.h"

namespace rubato {

/// The OpenAI error object of an error, and the HTTP status that goes with it.
boost::json::object make_error(const Error& error);
int http_status(const Error& error);

}  // namespace rubato
