#include "benchmarks/policies/measurement.h"

namespace rubato {

void Measurement::add(const Measurement& other) {
  questions += other.questions;
  right += other.right;
  tokens += other.tokens;
  committed += other.committed;
  cost.forward_passes += other.cost.forward_passes;
  cost.refreshes += other.cost.refreshes;
  cost.rows_computed += other.cost.rows_computed;
  cost.layers_refreshed += other.cost.layers_refreshed;
  seconds += other.seconds;
  times += other.times;
}

std::vector<Measurement> totals(const PolicyComparison& comparison) {
  std::vector<Measurement> sums;
  const std::vector<Measurement>& all = comparison.measurements;
  for (std::size_t i = 0, place = 0; i < all.size(); ++i) {
    place = i > 0 && all[i].task == all[i - 1].task ? place + 1 : 0;  // among the contenders
    if (place < sums.size()) {
      sums[place].add(all[i]);
    } else {
      sums.push_back(all[i]);
      sums.back().task = "all tasks";
    }
  }
  return sums;
}

}  // namespace rubato
