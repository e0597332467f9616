#include "http/routes.h"

#include <boost/json.hpp>
#include <span>

#include "http/openai/json_text.h"
#include "http/openai/response.h"
#include "http/page.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

namespace json = boost::json;

constexpr std::string_view kModels = "/v1/models";

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

Plain metrics(const SessionContext& context, std::span<const EngineStatus> replicas) {
  return {"text/plain; version=0.0.4; charset=utf-8", context.metrics.expose(replicas)};
}

}  // namespace

Route route_of(std::string_view path, std::string_view model) {
  if (path == "/v1/chat/completions") return Route::kChat;
  if (path == "/v1/completions") return Route::kCompletion;
  if (path == "/tokenize") return Route::kTokenize;
  if (path == "/detokenize") return Route::kDetokenize;
  for (const std::string_view plain :
       {"/health", "/health/live", "/version", "/load", "/metrics", "/v1/models"}) {
    if (path == plain) return Route::kPlain;
  }
  if (find_page_file(path) != nullptr) return Route::kPage;
  return path == concat(kModels, '/', model) ? Route::kPlain : Route::kNothing;
}

bool takes_body(Route route) {
  return route != Route::kNothing && route != Route::kPlain && route != Route::kPage;
}

Result<Plain> answer_plain(std::string_view path,
                           const SessionContext& context,
                           const Served& served) {
  if (path == "/health") return health(served);
  if (path == "/health/live") return live();
  if (path == "/version") return json_answer({{"version", context.config.version}});
  if (path == "/load") return load(context, served);
  if (path == "/metrics") return metrics(context, served.client.replicas());
  json::object model = make_model(served.model, served.defaults);
  if (path != kModels) return json_answer(model);
  return json_answer({{"object", "list"}, {"data", json::array{std::move(model)}}});
}

Result<Plain> answer_while_loading(std::string_view path, const SessionContext& context) {
  if (path == "/health/live") return live();
  if (path == "/metrics") return metrics(context, {});
  return Error{Code::kUnavailable, "the server is still loading the model"};
}

Error nothing_at(std::string_view path) {
  const std::string model = concat(kModels, '/');
  if (path.starts_with(model)) return unknown_model(path.substr(model.size()));
  return {Code::kNotFound, concat("there is nothing at ", path.substr(0, 80))};
}

}  // namespace rubato
