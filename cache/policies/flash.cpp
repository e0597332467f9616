#include <algorithm>

#include "cache/policies/common.h"
#include "cache/policies/policies.h"

namespace rubato {
namespace {

constexpr int kFollowed = 64;  ///< decoded positions in a reuse pass
constexpr int kMasks = 64;     ///< masks in a reuse pass, those of the window included

Refresh refresh(const PolicyParams&, const SequenceView& sequence) {
  return sequence.step == 0 ? Refresh::kFull : Refresh::kNone;
}

StepQuery query(const PolicyParams& params, const SequenceView& sequence) {
  std::vector<Position> window = detail::masked_window(params, sequence);
  if (refresh(params, sequence) == Refresh::kFull) return detail::full_forward(std::move(window));
  const std::size_t count = std::max<std::size_t>(kMasks, window.size());
  const auto masks = sequence.masked.first(std::min(count, sequence.masked.size()));
  StepQuery query = detail::tracked_reuse(sequence, {masks.begin(), masks.end()}, Refresh::kNone);
  query.eligible = std::move(window);
  return query;
}

std::vector<Position> follow(const PolicyParams&, const AttentionMass& attention) {
  return most_attended_overall(attention, kFollowed);
}

}  // namespace

/// Flash-dLLM: no refresh after the first step, but a fixed budget of rows recomputed in each.
const Policy kFlashPolicy = {
    .name = "flash",
    .summary =
        "Flash-dLLM: a fixed budget of rows a step, the most-attended among them, no refresh",
    .by_block = false,
    .query = query,
    .refresh = refresh,
    .follow = follow};

}  // namespace rubato
