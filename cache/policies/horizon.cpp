#include <algorithm>

#include "cache/policies/common.h"
#include "cache/policies/policies.h"

namespace rubato {
namespace {

/// The reach while `first_mask` is the first mask: at least a horizon from there, in strides of
/// half a horizon, so that most steps change nothing.
Position reach_from(const PolicyParams& params, const SequenceView& sequence, Position first_mask) {
  const bool has_suffix = sequence.block_end < sequence.canvas_length;
  if (has_suffix) return sequence.canvas_length;  // the canvas must reach it
  const std::int64_t stride = std::max(1, params.horizon / 2);
  const std::int64_t wanted = std::int64_t{first_mask} - sequence.prompt_length + params.horizon;
  const std::int64_t generated = (wanted + stride - 1) / stride * stride;
  return static_cast<Position>(
      std::min<std::int64_t>(sequence.canvas_length, sequence.prompt_length + generated));
}

Position first_mask(const SequenceView& sequence) {
  return sequence.masked.empty() ? sequence.block_end : sequence.masked.front();
}

Position reach(const PolicyParams& params, const SequenceView& sequence) {
  return reach_from(params, sequence, first_mask(sequence));
}

/// The previous step's reach: its first mask is the first that it committed, or still a mask.
Position reach_before(const PolicyParams& params, const SequenceView& sequence) {
  Position first = first_mask(sequence);
  if (!sequence.committed_last.empty()) first = std::min(first, sequence.committed_last.front());
  return reach_from(params, sequence, first);
}

Refresh refresh(const PolicyParams& params, const SequenceView& sequence) {
  if (sequence.step == 0) return Refresh::kFull;
  // Positions that have just come into reach have no earlier attention to compare with.
  const bool grows = reach(params, sequence) > reach_before(params, sequence);
  return grows ? Refresh::kNone : Refresh::kByDrift;
}

StepQuery query(const PolicyParams& params, const SequenceView& sequence) {
  const Position end = reach(params, sequence);
  std::vector<Position> window = detail::masked_window(params, sequence);
  window.erase(std::ranges::lower_bound(window, end), window.end());
  const Refresh kind = refresh(params, sequence);
  if (kind == Refresh::kFull) return detail::full_forward(std::move(window));
  std::vector<Position> masks = window;
  const Position first_new =
      std::max(reach_before(params, sequence), window.empty() ? 0 : window.back() + 1);
  for (Position position = first_new; position < end; ++position) masks.push_back(position);
  StepQuery query = detail::tracked_reuse(sequence, std::move(masks), kind);
  query.eligible = std::move(window);
  return query;
}

}  // namespace

/// Elastic-Cache on a canvas that grows ahead of what is written.
const Policy kHorizonPolicy = {
    .name = "horizon",
    .summary = "elastic on a canvas that ends `horizon` positions ahead and grows as it is filled",
    .by_block = false,
    .query = query,
    .refresh = refresh,
    .reach = reach,
    .follow = detail::follow_each_layer,
    .tests_drift = true};

}  // namespace rubato
