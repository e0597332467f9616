#include "http/metrics/server_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/text_serializer.h>

#include <sstream>

#include "http/metrics/engine_metrics.h"
#include "http/route_table.h"

namespace rubato {
namespace {

using Bounds = prometheus::Histogram::BucketBoundaries;

prometheus::Family<prometheus::Counter>& counters(prometheus::Registry& registry,
                                                  const char* name,
                                                  const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Histogram& histogram(prometheus::Registry& registry,
                                 const char* name,
                                 const char* help,
                                 Bounds bounds) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add(
      {}, std::move(bounds));
}

double seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

ServerMetrics::ServerMetrics()
    : answers_(
          counters(registry_, "rubato_http_answers_total", "Answers begun, by route and status")),
      finished_(
          counters(registry_,
                   "rubato_request_success_total",
                   "Generations ended, by reason: stop, length, abort (the client left), error")),
      first_token_(histogram(registry_,
                             "rubato_time_to_first_token_seconds",
                             "From a request's arrival to the first token of a generation's text",
                             {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60})),
      per_token_(histogram(registry_,
                           "rubato_request_time_per_output_token_seconds",
                           "From the first tokens to the end, divided by the tokens in between",
                           {.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5})),
      whole_(histogram(registry_,
                       "rubato_e2e_request_latency_seconds",
                       "From a request's arrival to the end of a generation",
                       {.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300})) {
  for (const char* reason : {"stop", "length", "abort", "error"})
    finished_.Add({{"finished_reason", reason}});
}

void ServerMetrics::tell_build(const std::string& version, const std::string& model) {
  prometheus::BuildGauge()
      .Name("rubato_build_info")
      .Help("Always 1; what runs is in the labels")
      .Register(registry_)
      .Add({{"version", version}, {"model_name", model}})
      .Set(1);
}

void ServerMetrics::count_answer(std::string_view path, int status) {
  answers_.Add({{"route", std::string(find_path(path).path)}, {"status", std::to_string(status)}})
      .Increment();
}

std::string ServerMetrics::expose(std::span<const EngineStatus> replicas) const {
  std::vector<prometheus::MetricFamily> families = registry_.Collect();
  for (prometheus::MetricFamily& family : engine_metrics(replicas))
    families.push_back(std::move(family));
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return std::move(out).str();
}

GenerationTimes::GenerationTimes(ServerMetrics& metrics,
                                 std::size_t num_choices,
                                 Clock::time_point arrived)
    : metrics_(metrics), arrived_(arrived), choices_(num_choices) {}

GenerationTimes::~GenerationTimes() {
  for (const Choice& choice : choices_) {
    if (!choice.complete)
      metrics_.finished_.Add({{"finished_reason", unfinished_reason_}}).Increment();
  }
}

void GenerationTimes::note(std::size_t index, const Answer& answer, Clock::time_point now) {
  Choice& choice = choices_[index];
  const std::size_t tokens = answer.token_ids().size();
  if (choice.first_tokens == 0 && tokens > 0) {
    choice.first_token = now;
    choice.first_tokens = tokens;
    metrics_.first_token_.Observe(seconds(now - arrived_));
  }
  if (choice.complete || !answer.complete()) return;
  choice.complete = true;
  metrics_.finished_.Add({{"finished_reason", answer.finish_reason()}}).Increment();
  metrics_.whole_.Observe(seconds(now - arrived_));
  if (tokens > choice.first_tokens) {
    const auto more = static_cast<double>(tokens - choice.first_tokens);
    metrics_.per_token_.Observe(seconds(now - choice.first_token) / more);
  }
}

}  // namespace rubato
