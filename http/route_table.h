#pragma once

#include <optional>
#include <string_view>

namespace rubato {

/// What serves a path.
enum class Route {
  kNothing,
  kChat,
  kCompletion,
  kTokenize,
  kDetokenize,
  kHealth,
  kLive,
  kVersion,
  kLoad,
  kMetrics,
  kModels,
  kModel,
  kPage,  ///< a file of `find_page_file`
};

/// How the requests to a path are treated.
struct PathEntry {
  std::string_view path;  ///< also its name in metrics
  Route route = Route::kNothing;
  bool takes_body = false;   ///< takes POST with a JSON body; else GET and HEAD
  bool open_to_all = false;  ///< needs no API key
};

/// The entry of a path: "/" for every file of the page, "/v1/models/{id}" for every id, whether it
/// is the served model's or not, and "other" with `kNothing` for what is not a path of this server.
const PathEntry& find_path(std::string_view path);

/// The id of a path /v1/models/ID; none for other paths.
std::optional<std::string_view> model_of(std::string_view path);

}  // namespace rubato
