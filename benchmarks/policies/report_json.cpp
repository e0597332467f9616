#include <boost/json.hpp>

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

json::object to_object(const Measurement& m) {
  return {{"task", m.task},
          {"policy", m.contender},
          {"diffusion", diffusion_parameters(m.request)},
          {"length", m.request.max_tokens},
          {"questions", m.questions},
          {"right", m.right},
          {"accuracy", m.accuracy()},
          {"seconds", m.seconds},
          {"tokens", m.tokens},
          {"tokens_per_second", m.tokens_per_second()},
          {"tokens_committed", m.committed},
          {"forward_passes", m.cost.forward_passes},
          {"tokens_per_forward_pass", m.tokens_per_pass()},
          {"refreshes", m.cost.refreshes},
          {"layers_refreshed", m.cost.layers_refreshed},
          {"rows_computed", m.cost.rows_computed},
          {"steps", steps_of(m.times)}};
}

}  // namespace

std::string to_json(const PolicyComparison& comparison, const BenchSetup& setup) {
  json::array results, all, skipped;
  for (const Measurement& one : comparison.measurements) results.push_back(to_object(one));
  for (const Measurement& one : totals(comparison)) all.push_back(to_object(one));
  for (const SkippedTask& one : comparison.skipped)
    skipped.push_back({{"task", one.task}, {"reason", one.reason}});
  const json::object report{{"version", setup.version},
                            {"model", setup.model},
                            {"dtype", setup.dtype},
                            {"kernels", setup.kernels},
                            {"ranks", setup.ranks},
                            {"threads", setup.threads},
                            {"length", comparison.length},
                            {"concurrency", comparison.concurrency},
                            {"results", std::move(results)},
                            {"all_tasks", std::move(all)},
                            {"skipped", std::move(skipped)}};
  return json::serialize(report) + '\n';
}

}  // namespace rubato
