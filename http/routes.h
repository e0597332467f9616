#pragma once

#include <string>
#include <string_view>

#include "http/route_table.h"
#include "http/session.h"

namespace rubato {

/// An answer that needs no generation.
struct Plain {
  std::string content_type;
  std::string body;
};

/// The answer of a route that takes no body, except the page's. Errors: kUnavailable, for /health
/// while new requests are refused.
Result<Plain> answer_plain(Route route, const SessionContext& context, const Served& served);

/// The answers while the model is loading. Errors: kUnavailable, for all routes except /health/live
/// and /metrics.
Result<Plain> answer_while_loading(Route route, const SessionContext& context);

/// Whether something is served at a path; `entry` is the path's. Errors: kNotFound.
Status check_path(std::string_view path, const PathEntry& entry, std::string_view served_model);

}  // namespace rubato
