#include "benchmarks/policies/measurement.h"

#include <algorithm>

#include "benchmarks/common/statistics.h"

namespace rubato {

double Measurement::typical_seconds() const {
  return median(seconds);
}

double Measurement::tokens_per_second() const {
  const double typical = typical_seconds();
  return typical > 0 ? static_cast<double>(tokens) / typical : 0;
}

double Measurement::spread() const {
  const double typical = typical_seconds();
  if (typical <= 0) return 0;
  const auto [least, most] = std::ranges::minmax(seconds);
  return (most - least) / typical;
}

void Measurement::add(const Measurement& other) {
  questions += other.questions;
  right += other.right;
  tokens += other.tokens;
  committed += other.committed;
  canvas_positions += other.canvas_positions;
  cost.forward_passes += other.cost.forward_passes;
  cost.refreshes += other.cost.refreshes;
  cost.rows_computed += other.cost.rows_computed;
  cost.layers_refreshed += other.cost.layers_refreshed;
  for (const auto& [layer, steps] : other.boundaries) boundaries[layer] += steps;
  seconds.resize(std::max(seconds.size(), other.seconds.size()));
  for (std::size_t i = 0; i < other.seconds.size(); ++i) seconds[i] += other.seconds[i];
  times += other.times;
  repeats_alike = repeats_alike && other.repeats_alike;
}

std::vector<Measurement> totals(const PolicyComparison& comparison) {
  std::vector<Measurement> sums;
  for (const Measurement& one : comparison.measurements) {
    const auto same = std::ranges::find_if(sums, [&](const Measurement& sum) {
      return sum.contender == one.contender && sum.length() == one.length();
    });
    if (same != sums.end()) {
      same->add(one);
    } else {
      sums.push_back(one);
      sums.back().task = "all tasks";
      sums.back().trace.clear();
    }
  }
  return sums;
}

}  // namespace rubato
