#include "cache/policies/common.h"
#include "cache/policies/policies.h"

namespace rubato {
namespace {

Refresh refresh(const PolicyParams& params, const SequenceView& sequence) {
  return sequence.step % params.refresh_every == 0 ? Refresh::kFull : Refresh::kNone;
}

StepQuery query(const PolicyParams& params, const SequenceView& sequence) {
  std::vector<Position> window = detail::masked_window(params, sequence);
  if (refresh(params, sequence) == Refresh::kFull) return detail::full_forward(std::move(window));
  return detail::tracked_reuse(sequence, std::move(window), Refresh::kNone);
}

}  // namespace

/// Elastic-Cache's rows, with a fixed refresh interval instead of the drift test.
const Policy kIntervalPolicy = {
    .name = "interval",
    .summary = "elastic's rows, refreshed whole every refresh_every steps",
    .by_block = false,
    .query = query,
    .refresh = refresh,
    .follow = detail::follow_each_layer};

}  // namespace rubato
