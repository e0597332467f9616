#include "benchmarks/serving/sweep.h"

#include <algorithm>
#include <boost/json.hpp>
#include <random>

#include "benchmarks/serving/prometheus_text.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

namespace json = boost::json;

int requests_of(const LoadLevel& level, const SweepOptions& options) {
  constexpr int kLeast = 32, kRounds = 8;
  return options.requests > 0 ? options.requests : std::max(kLeast, kRounds * level.concurrency);
}

std::vector<LoadLevel> levels_of(const SweepOptions& options) {
  std::vector<LoadLevel> levels;
  for (const int concurrency : options.concurrency) levels.push_back({.concurrency = concurrency});
  for (const double rate : options.rates) levels.push_back({.rate = rate, .seed = options.seed});
  return levels;
}

Result<std::string> model_of(const Endpoint& endpoint) {
  const Result<std::string> body = fetch(endpoint, "/v1/models");
  if (!body) return body.error();
  boost::system::error_code code;
  const json::value models = json::parse(*body, code);
  const json::value* id = code ? nullptr : models.find_pointer("/data/0/id", code);
  if (id != nullptr && id->is_string()) return std::string(id->get_string());
  return Error{Code::kUnavailable,
               concat("what ", endpoint.address.url(), "/v1/models answers names no model"),
               "--url"};
}

std::string version_of(const Endpoint& endpoint) {
  const Result<std::string> body = fetch(endpoint, "/version");
  boost::system::error_code code;
  const json::value version = body ? json::parse(*body, code) : json::value();
  const json::value* text = code ? nullptr : version.find_pointer("/version", code);
  return text != nullptr && text->is_string() ? std::string(text->get_string()) : std::string();
}

/// What the engine has done up to now.
std::string metrics_of(const Endpoint& endpoint) {
  Result<std::string> text = fetch(endpoint, "/metrics");
  return text ? *std::move(text) : std::string();
}

std::optional<EngineWork> work_between(const std::string& before, const std::string& after) {
  const auto grown = [&](std::string_view name) -> std::optional<double> {
    const auto from = metric_sum(before, name), to = metric_sum(after, name);
    return from && to ? std::optional(*to - *from) : std::nullopt;
  };
  const auto passes = grown("rubato_forward_passes_total");
  const auto rows = grown("rubato_rows_computed_total");
  if (!passes || !rows) return std::nullopt;
  EngineWork work{std::nullopt, *passes, *rows};
  const auto admitted = grown("rubato_request_queue_time_seconds_count");
  const auto waited = grown("rubato_request_queue_time_seconds_sum");
  if (admitted && waited && *admitted > 0) work.queue_ms = 1e3 * *waited / *admitted;
  return work;
}

/// Asks without counting: what is wrong with every request shows here.
Status warm_up(const Endpoint& endpoint, std::span<const std::string> bodies) {
  const auto samples = run_level(endpoint, {.concurrency = 1}, bodies, [](int) {});
  for (const RequestSample& sample : samples) {
    if (!sample.answered())
      return Error{Code::kUnavailable, concat("the server refuses a request: ", sample.error)};
  }
  return {};
}

}  // namespace

std::vector<std::string> make_bodies(const std::vector<Task>& tasks,
                                     const SweepOptions& options,
                                     const std::string& model,
                                     int count) {
  std::vector<const std::string*> questions;
  for (const Task& task : tasks)
    for (const Question& question : task.questions) questions.push_back(&question.text);
  std::mt19937_64 random(options.seed);
  for (std::size_t left = questions.size(); left > 1; --left)  // std::shuffle differs by library
    std::swap(questions[left - 1], questions[random() % left]);
  std::vector<std::string> bodies;
  for (int i = 0; i < count; ++i) {
    const std::string& question = *questions[static_cast<std::size_t>(i) % questions.size()];
    json::object body{
        {"model", model},
        {"messages", json::array{json::object{{"role", "user"}, {"content", question}}}},
        {"max_tokens", options.length},
        {"seed", static_cast<std::int64_t>(options.seed % (1ull << 62)) + i},
        {"stream", true},
        {"stream_options", json::object{{"include_usage", true}}}};
    if (!options.diffusion.empty()) body["diffusion"] = options.diffusion;
    bodies.push_back(json::serialize(body));
  }
  return bodies;
}

Result<Sweep> run_sweep(const Endpoint& endpoint,
                        const std::vector<Task>& tasks,
                        const SweepOptions& options,
                        const std::function<void(const SweepProgress&)>& progress) {
  const Result<std::string> model = model_of(endpoint);
  if (!model) return model.error();
  Sweep sweep{*model, version_of(endpoint), {}};
  const Status warm = warm_up(endpoint, make_bodies(tasks, options, *model, options.warm_up));
  if (!warm) return warm.error();
  const std::vector<LoadLevel> levels = levels_of(options);
  SweepProgress state;
  for (const LoadLevel& level : levels) state.total += requests_of(level, options);
  for (const LoadLevel& level : levels) {
    const int done_before = state.done;
    state.level = level.name();
    const auto on_end = [&](int ended) {
      state.done = done_before + ended;
      progress(state);
    };
    const std::string before = metrics_of(endpoint);
    const auto samples = run_level(
        endpoint, level, make_bodies(tasks, options, *model, requests_of(level, options)), on_end);
    sweep.levels.push_back({level, summarize(samples), work_between(before, metrics_of(endpoint))});
  }
  return sweep;
}

}  // namespace rubato
