#include "cache/policies/common.h"
#include "cache/policies/policies.h"

namespace rubato {
namespace {

Refresh refresh(const PolicyParams&, const SequenceView& sequence) {
  return sequence.step == 0 ? Refresh::kFull : Refresh::kByDrift;
}

StepQuery query(const PolicyParams& params, const SequenceView& sequence) {
  std::vector<Position> window = detail::masked_window(params, sequence);
  if (refresh(params, sequence) == Refresh::kFull) return detail::full_forward(std::move(window));
  return detail::tracked_reuse(sequence, std::move(window), Refresh::kByDrift);
}

}  // namespace

/// Elastic-Cache (arXiv 2510.14973): refreshes from the layer where the most-attended tokens'
/// attention drifted.
const Policy kElasticPolicy = {
    .name = "elastic",
    .summary = "Elastic-Cache: refreshes from the layer whose attention drifted, when it did",
    .by_block = false,
    .query = query,
    .refresh = refresh,
    .follow = detail::follow_each_layer,
    .tests_drift = true};

}  // namespace rubato
