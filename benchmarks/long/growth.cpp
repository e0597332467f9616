#include <algorithm>

#include "benchmarks/long/report.h"

namespace rubato {
namespace {

/// The milliseconds of a sort of step, or nothing where there was none.
std::optional<double> cost_of(const LongMeasurement& m, const std::string& what) {
  if (what == "step") return m.ms_per_step();
  const auto sorts = m.sorts();
  const auto found = sorts.find(what == "full" ? std::optional(0) : std::nullopt);
  return found == sorts.end() ? std::nullopt : std::optional(found->second.median_ms);
}

}  // namespace

std::vector<CostGrowth> growths(std::span<const LongMeasurement> measurements) {
  std::vector<std::string> contenders;
  for (const LongMeasurement& m : measurements) {
    if (std::ranges::find(contenders, m.contender) == contenders.end())
      contenders.push_back(m.contender);
  }
  std::vector<CostGrowth> all;
  for (const std::string& contender : contenders) {
    for (const char* what : {"step", "reuse", "full"}) {
      CostGrowth cost{contender, what, {}, {}, {}};
      for (const LongMeasurement& m : measurements) {
        const auto milliseconds = cost_of(m, what);
        if (m.contender != contender || !milliseconds || *milliseconds <= 0) continue;
        cost.canvases.push_back(m.canvas);
        cost.milliseconds.push_back(*milliseconds);
      }
      const auto growth = fit_growth(cost.canvases, cost.milliseconds);
      if (!growth) continue;
      cost.growth = *growth;
      all.push_back(std::move(cost));
    }
  }
  return all;
}

}  // namespace rubato
