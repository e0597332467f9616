#include "http/routes.h"

#include <boost/json.hpp>
#include <span>

#include "http/openai/json_text.h"
#include "http/openai/response.h"
#include "runtime/base/check.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

namespace json = boost::json;

Plain json_answer(const json::object& body) {
  return {"application/json", to_json(body)};
}

Result<Plain> health(const Served& served) {
  if (served.client.status().ready) return json_answer({{"status", "ready"}});
  return Error{Code::kUnavailable,
               "the server takes no requests: it is shutting down, or a rank does not answer"};
}

Plain live() {
  return json_answer({{"status", "live"}});
}

Plain load(const SessionContext& context, const Served& served) {
  const EngineStatus status = served.client.status();
  return json_answer({{"server_load", context.active_requests.load()},
                      {"running", status.running},
                      {"waiting", status.waiting},
                      {"cache_tokens_used", status.cache_tokens_used},
                      {"cache_tokens_total", status.cache_tokens_total}});
}

Plain models(const Served& served) {
  return json_answer({{"object", "list"},
                      {"data", json::array{make_model(served.api.model, served.api.defaults)}}});
}

Plain metrics(const SessionContext& context, std::span<const EngineStatus> replicas) {
  return {"text/plain; version=0.0.4; charset=utf-8", context.metrics.expose(replicas)};
}

}  // namespace

Result<Plain> answer_plain(Route route, const SessionContext& context, const Served& served) {
  switch (route) {
    case Route::kHealth:
      return health(served);
    case Route::kLive:
      return live();
    case Route::kVersion:
      return json_answer({{"version", context.config.version}});
    case Route::kLoad:
      return load(context, served);
    case Route::kMetrics:
      return metrics(context, served.client.replicas());
    case Route::kModels:
      return models(served);
    case Route::kModel:
      return json_answer(make_model(served.api.model, served.api.defaults));
    case Route::kNothing:
    case Route::kChat:
    case Route::kCompletion:
    case Route::kTokenize:
    case Route::kDetokenize:
    case Route::kPage:
      break;
  }
  RUBATO_CHECK(false, "route ", static_cast<int>(route), " is answered elsewhere");
}

Result<Plain> answer_while_loading(Route route, const SessionContext& context) {
  if (route == Route::kLive) return live();
  if (route == Route::kMetrics) return metrics(context, {});
  return Error{Code::kUnavailable, "the server is still loading the model"};
}

Status check_path(std::string_view path, const PathEntry& entry, std::string_view served_model) {
  const auto model = model_of(path);
  if (model && *model != served_model) return unknown_model(*model);
  if (entry.route != Route::kNothing) return {};
  return Error{Code::kNotFound, concat("there is nothing at ", path.substr(0, 80))};
}

}  // namespace rubato
