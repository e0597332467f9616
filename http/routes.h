#pragma once

#include <string>
#include <string_view>

#include "http/session.h"

namespace rubato {

/// What serves a path.
enum class Route {
  kNothing,
  kChat,
  kCompletion,
  kTokenize,
  kDetokenize,
  kPlain,  ///< answered by `answer_plain`
  kPage,   ///< a file of `find_page_file`
};

/// `model`: the id of the model that is served.
Route route_of(std::string_view path, std::string_view model);

/// Whether the route takes POST with a JSON body; else it takes GET and HEAD.
bool takes_body(Route route);

/// An answer that needs no generation.
struct Plain {
  std::string content_type;
  std::string body;
};

/// Health, version, load, metrics and models. Errors: kUnavailable, for /health while new requests
/// are refused.
Result<Plain> answer_plain(std::string_view path,
                           const SessionContext& context,
                           const Served& served);

/// The answers while the model is loading. Errors: kUnavailable, for all paths except /health/live
/// and /metrics.
Result<Plain> answer_while_loading(std::string_view path, const SessionContext& context);

/// The error for a path that is not a route.
Error nothing_at(std::string_view path);

}  // namespace rubato
