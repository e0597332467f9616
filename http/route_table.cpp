#include "http/route_table.h"

#include <algorithm>

#include "http/page.h"

namespace rubato {
namespace {

constexpr std::string_view kPagePath = "/";
constexpr std::string_view kModelPath = "/v1/models/{id}";
constexpr PathEntry kOther = {"other", Route::kNothing};

constexpr PathEntry kPaths[] = {
    {"/v1/chat/completions", Route::kChat, /*takes_body=*/true},
    {"/v1/completions", Route::kCompletion, /*takes_body=*/true},
    {"/tokenize", Route::kTokenize, /*takes_body=*/true},
    {"/detokenize", Route::kDetokenize, /*takes_body=*/true},
    {"/v1/models", Route::kModels},
    {kModelPath, Route::kModel},
    {"/health", Route::kHealth, /*takes_body=*/false, /*open_to_all=*/true},
    {"/health/live", Route::kLive, /*takes_body=*/false, /*open_to_all=*/true},
    {"/version", Route::kVersion},
    {"/load", Route::kLoad},
    {"/metrics", Route::kMetrics},
    {kPagePath, Route::kPage, /*takes_body=*/false, /*open_to_all=*/true},
};

}  // namespace

const PathEntry& find_path(std::string_view path) {
  if (find_page_file(path) != nullptr) path = kPagePath;
  if (model_of(path)) path = kModelPath;
  const auto* const found = std::ranges::find(kPaths, path, &PathEntry::path);
  return found == std::end(kPaths) ? kOther : *found;
}

std::optional<std::string_view> model_of(std::string_view path) {
  constexpr std::string_view kFolder = "/v1/models/";
  if (!path.starts_with(kFolder)) return std::nullopt;
  return path.substr(kFolder.size());
}

}  // namespace rubato
