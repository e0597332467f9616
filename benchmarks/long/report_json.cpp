#include <boost/json.hpp>

#include "benchmarks/long/report.h"
#include "http/openai/choice.h"

namespace rubato {
namespace {

namespace json = boost::json;

json::value boundary_of(std::optional<int> boundary) {
  return boundary ? json::value(*boundary) : json::value(nullptr);
}

json::array sorts_of(const LongMeasurement& m) {
  json::array sorts;
  for (const auto& [boundary, sort] : m.sorts()) {
    sorts.push_back(
        {{"boundary", boundary_of(boundary)},
         {"count", sort.count},
         {"ms", {{"median", sort.median_ms}, {"min", sort.least_ms}, {"max", sort.most_ms}}},
         {"rows", sort.rows}});
  }
  return sorts;
}

json::object to_object(const LongMeasurement& m, const LongSetup& setup) {
  return {{"canvas", m.canvas},
          {"policy", m.contender},
          {"diffusion", diffusion_parameters(m.request)},
          {"steps", m.steps.size()},
          {"seconds", m.seconds()},
          {"tokens", m.tokens()},
          {"tokens_per_second", m.tokens_per_second()},
          {"ms_per_step", m.ms_per_step()},
          {"rows_per_step", m.rows_per_step()},
          {"by_boundary", sorts_of(m)},
          {"collective_share", m.collective_share()},
          {"cache_bytes", m.canvas * setup.cache_bytes_per_token},
          {"resident_bytes", m.resident_bytes}};
}

json::object to_object(const CostGrowth& cost) {
  return {{"policy", cost.contender},
          {"of", cost.what},
          {"canvases", json::array(cost.canvases.begin(), cost.canvases.end())},
          {"ms", json::array(cost.milliseconds.begin(), cost.milliseconds.end())},
          {"exponent", cost.growth.exponent},
          {"factor", cost.growth.factor}};
}

}  // namespace

std::string to_json(std::span<const LongMeasurement> measurements, const LongSetup& setup) {
  json::array results, growth;
  for (const LongMeasurement& one : measurements) results.push_back(to_object(one, setup));
  for (const CostGrowth& one : growths(measurements)) growth.push_back(to_object(one));
  json::object report = to_object(setup.provenance);
  report["benchmark"] = "long";
  report["model"] = setup.model;
  report["random_weights"] = setup.random;
  report["dtype"] = setup.dtype;
  report["layers"] = setup.num_layers;
  report["cache_bytes_per_token"] = setup.cache_bytes_per_token;
  report["results"] = std::move(results);
  report["growth"] = std::move(growth);
  return json::serialize(report) + '\n';
}

}  // namespace rubato
