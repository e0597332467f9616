#include <boost/json.hpp>

#include "benchmarks/serving/report.h"

namespace rubato {
namespace {

namespace json = boost::json;

json::object to_object(const Latency& latency) {
  return {{"mean", latency.mean},
          {"p50", latency.p50},
          {"p90", latency.p90},
          {"p99", latency.p99},
          {"max", latency.most}};
}

json::value to_value(const std::optional<EngineWork>& work) {
  if (!work) return nullptr;
  return {{"queue_ms", work->queue_ms ? json::value(*work->queue_ms) : json::value()},
          {"forward_passes", work->forward_passes},
          {"rows_computed", work->rows_computed}};
}

json::object to_object(const LevelReport& report) {
  const LevelSummary& s = report.summary;
  json::object errors;
  for (const auto& [error, count] : s.errors) errors[error] = count;
  const bool closed = report.level.closed();
  return {{"loop", closed ? "closed" : "open"},
          {"concurrency", closed ? json::value(report.level.concurrency) : json::value()},
          {"rate", closed ? json::value() : json::value(report.level.rate)},
          {"requests", s.requests},
          {"answered", s.answered},
          {"errors", std::move(errors)},
          {"seconds", s.seconds},
          {"prompt_tokens", s.prompt_tokens},
          {"output_tokens", s.output_tokens},
          {"tokens_per_second", s.tokens_per_second()},
          {"requests_per_second", s.requests_per_second()},
          {"first_text_ms", to_object(s.first_text)},
          {"whole_ms", to_object(s.whole)},
          {"engine", to_value(report.work)}};
}

}  // namespace

std::string to_json(const Sweep& sweep, const SweepOptions& options, const SweepSetup& setup) {
  json::array levels, tasks;
  for (const LevelReport& report : sweep.levels) levels.push_back(to_object(report));
  for (const std::string& task : setup.tasks) tasks.push_back(json::value(task));
  json::object report = to_object(setup.provenance);
  report["benchmark"] = "serving";
  report["url"] = setup.url;
  report["model"] = sweep.model;
  report["server_version"] = sweep.server_version;
  report["tasks"] = std::move(tasks);
  report["length"] = options.length;
  report["seed"] = options.seed;
  report["diffusion"] = options.diffusion;
  report["levels"] = std::move(levels);
  return json::serialize(report) + '\n';
}

}  // namespace rubato
