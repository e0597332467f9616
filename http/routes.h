#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "http/session.h"

namespace rubato {

/// What is behind a path.
enum class Route {
  kNothing,
  kChat,
  kCompletion,
  kTokenize,
  kDetokenize,
  kPlain,  ///< what `answer_plain` knows
  kPage,   ///< what `find_page_file` finds
};

/// `model`: the id of the model that is served.
Route route_of(std::string_view path, std::string_view model);

/// Whether the route is asked for with POST and a JSON body; else with GET or HEAD.
bool takes_body(Route route);

/// An answer that is known at once.
struct Plain {
  std::string content_type;
  std::string body;
};

/// Health, version, load, metrics and models. Errors: kUnavailable, of /health while no requests
/// are taken.
Result<Plain> answer_plain(std::string_view path,
                           const SessionContext& context,
                           const Served& served);

/// What is answered while there is nothing to serve yet. Errors: kUnavailable, of all but
/// /health/live and /metrics.
Result<Plain> answer_while_loading(std::string_view path, const SessionContext& context);

/// The error of a path that is no route.
Error nothing_at(std::string_view path);

}  // namespace rubato
