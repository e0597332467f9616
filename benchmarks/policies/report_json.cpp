#include <boost/json.hpp>

#include "benchmarks/common/statistics.h"
#include "benchmarks/policies/report.h"
#include "http/openai/choice.h"

namespace rubato {
namespace {

namespace json = boost::json;

/// By kind of step: how many there were and the seconds of each phase.
json::object steps_of(const StepTimes& times) {
  json::object kinds;
  for (std::size_t k = 0; k < kNumStepKinds; ++k) {
    const PhaseTimes& kind = times.kinds[k];
    json::object seconds;
    for (std::size_t p = 0; p < kNumPhases; ++p)
      seconds[to_string(Phase(p))] = static_cast<double>(kind.nanoseconds[p]) * 1e-9;
    kinds[to_string(StepKind(k))] = {{"count", kind.steps}, {"seconds", std::move(seconds)}};
  }
  return kinds;
}

/// By the first layer refreshed, as text, for JSON has no other keys; and the steps without.
json::object boundaries_of(const Measurement& m) {
  json::object steps{{"none", m.cost.forward_passes - m.cost.refreshes}};
  for (const auto& [layer, count] : m.boundaries) steps[std::to_string(layer)] = count;
  return steps;
}

/// As `diffusion.trace` of an answer.
json::array trace_of(const Measurement& m) {
  json::array steps;
  for (const StepTrace& step : m.trace) {
    json::array committed;
    for (const Commit& commit : step.committed)
      committed.push_back({commit.position, commit.token});
    steps.push_back(
        {{"boundary", step.boundary ? json::value(*step.boundary) : json::value(nullptr)},
         {"similarity", json::array(step.similarity.begin(), step.similarity.end())},
         {"tracked", json::array(step.tracked.begin(), step.tracked.end())},
         {"committed", std::move(committed)}});
  }
  return steps;
}

json::object to_object(const Measurement& m, const BenchSetup& setup, bool traces) {
  const Interval interval = wilson_interval(m.right, m.questions);
  json::object object{
      {"task", m.task},
      {"policy", m.contender},
      {"diffusion", diffusion_parameters(m.request)},
      {"length", m.length()},
      {"questions", m.questions},
      {"right", m.right},
      {"accuracy", m.accuracy()},
      {"accuracy_interval", {interval.low, interval.high}},
      {"seconds", m.typical_seconds()},
      {"seconds_of_each_repetition", json::array(m.seconds.begin(), m.seconds.end())},
      {"repetitions_alike", m.repeats_alike},
      {"tokens", m.tokens},
      {"tokens_per_second", m.tokens_per_second()},
      {"tokens_committed", m.committed},
      {"forward_passes", m.cost.forward_passes},
      {"tokens_per_forward_pass", m.tokens_per_pass()},
      {"refreshes", m.cost.refreshes},
      {"refresh_share", m.refresh_share()},
      {"boundaries", boundaries_of(m)},
      {"layers_refreshed", m.cost.layers_refreshed},
      {"rows_computed", m.cost.rows_computed},
      {"cache_bytes", setup.cache_bytes(m)},
      {"steps", steps_of(m.times)}};
  if (traces && !m.trace.empty()) object["trace"] = trace_of(m);
  return object;
}

}  // namespace

std::string to_json(const PolicyComparison& comparison, const BenchSetup& setup, bool traces) {
  json::array results, all, skipped;
  for (const Measurement& one : comparison.measurements)
    results.push_back(to_object(one, setup, traces));
  for (const Measurement& one : totals(comparison)) all.push_back(to_object(one, setup, false));
  for (const Skipped& one : comparison.skipped)
    skipped.push_back({{"task", one.task}, {"length", one.length}, {"reason", one.reason}});
  json::object report = to_object(setup.provenance);
  report["benchmark"] = "policies";
  report["model"] = setup.model;
  report["dtype"] = setup.dtype;
  report["cache_bytes_per_token"] = setup.cache_bytes_per_token;
  report["lengths"] = json::array(comparison.lengths.begin(), comparison.lengths.end());
  report["concurrency"] = comparison.concurrency;
  report["repeat"] = comparison.repeat;
  report["results"] = std::move(results);
  report["all_tasks"] = std::move(all);
  report["skipped"] = std::move(skipped);
  return json::serialize(report) + '\n';
}

}  // namespace rubato
