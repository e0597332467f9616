#include "cache/policies/common.h"
#include "cache/policies/policies.h"

namespace rubato {
namespace {

StepQuery query(const PolicyParams& params, const SequenceView& sequence) {
  std::vector<Position> window = detail::masked_window(params, sequence);
  if (sequence.step % params.refresh_every == 0) return detail::full_forward(std::move(window));
  return detail::tracked_reuse(sequence, std::move(window), Refresh::kNone);
}

}  // namespace

/// Elastic-Cache's rows with a clock in place of the drift test.
const Policy kIntervalPolicy = {
    .name = "interval",
    .summary = "elastic's rows, refreshed whole every refresh_every steps",
    .by_block = false,
    .tracks = true,
    .query = query};

}  // namespace rubato
