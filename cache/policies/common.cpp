#include "cache/policies/common.h"

#include <algorithm>
#include <numeric>

namespace rubato::detail {

std::vector<Position> masked_window(const PolicyParams& params, const SequenceView& sequence) {
  const std::size_t count = std::min<std::size_t>(params.window, sequence.masked.size());
  return {sequence.masked.begin(), sequence.masked.begin() + count};
}

std::vector<Position> masked_in_block(const SequenceView& sequence) {
  const auto end = std::ranges::lower_bound(sequence.masked, sequence.block_end);
  return {sequence.masked.begin(), end};
}

StepQuery full_forward(std::vector<Position> eligible) {
  StepQuery query;
  query.refresh = Refresh::kFull;
  query.eligible = std::move(eligible);
  return query;
}

StepQuery range_reuse(Position begin, Position end, std::vector<Position> eligible) {
  StepQuery query;
  query.refresh = Refresh::kNone;
  query.rows.resize(end - begin);
  std::iota(query.rows.begin(), query.rows.end(), begin);
  query.eligible = std::move(eligible);
  return query;
}

StepQuery tracked_reuse(const SequenceView& sequence,
                        std::vector<Position> window,
                        Refresh refresh) {
  StepQuery query;
  query.refresh = refresh;
  query.num_tracked = static_cast<int>(sequence.tracked.size());
  query.rows.assign(sequence.tracked.begin(), sequence.tracked.end());
  const auto append_untracked = [&](std::span<const Position> positions) {
    for (const Position position : positions) {
      if (!std::ranges::binary_search(sequence.tracked, position)) query.rows.push_back(position);
    }
  };
  append_untracked(sequence.committed_last);
  append_untracked(window);
  query.eligible = std::move(window);
  return query;
}

std::vector<Position> follow_each_layer(const PolicyParams& params,
                                        const AttentionMass& attention) {
  return most_attended_by_layer(attention, params.track);
}

}  // namespace rubato::detail
