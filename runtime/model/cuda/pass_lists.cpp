#include "runtime/model/cuda/pass_lists.h"

#include <algorithm>
#include <numeric>

namespace rubato::cuda {
namespace {

/// How many keys a block attends to. Where many rows attend there are blocks enough, and parts to
/// put together would cost more; up to 32 rows leave a block's warps over to share the keys. It
/// depends on the sequence alone, so that its result does; and at most that many rows are split.
int split_keys_of(int num_rows, int num_keys) {
  if (num_rows <= 32) return 2 * kSplitKeys;
  if (num_rows <= kSplitKeys) return kSplitKeys;
  if (num_rows <= 2 * kSplitKeys) return 2 * kSplitKeys;
  return num_keys;
}

/// The first eligible row of each sequence among all.
std::vector<int> first_eligible(std::span<const StepSequence> sequences) {
  std::vector<int> first{0};
  for (const StepSequence& s : sequences)
    first.push_back(first.back() + static_cast<int>(s.query.eligible.size()));
  return first;
}

struct TileList {
  std::vector<QueryTile>& tiles;
  int& most_splits;
  std::int64_t partial = 0;

  void add(const StepSequence& sequence, int first_query, int num_queries) {
    const int keys = sequence.canvas_length();
    const int split_keys = split_keys_of(num_queries, keys);
    const int splits = (keys + split_keys - 1) / split_keys;
    most_splits = std::max(most_splits, splits);
    for (int begin = 0; begin < num_queries; begin += kTileQueries) {
      const int count = std::min(kTileQueries, num_queries - begin);
      tiles.push_back({.first_query = first_query + begin,
                       .num_queries = count,
                       .slot_begin = static_cast<std::int32_t>(sequence.slot_begin),
                       .num_keys = keys,
                       .num_splits = splits,
                       .split_keys = split_keys,
                       .partial_begin = static_cast<std::int32_t>(partial)});
      if (splits > 1) partial += std::int64_t{splits} * count;
    }
  }
};

void append(PassLists& lists,
            const StepSequence& sequence,
            int index,
            int boundary,
            std::span<const Position> rows,
            int eligible_out) {
  PassPart part{.index = index,
                .boundary = boundary,
                .first_row = lists.num_rows(),
                .num_rows = static_cast<int>(rows.size()),
                .first_eligible = lists.num_eligible(),
                .num_eligible = static_cast<int>(sequence.query.eligible.size())};
  for (const Position position : rows) {
    lists.cache_rows.push_back(static_cast<std::int32_t>(sequence.slot_begin) + position);
    lists.positions.push_back(position);
    lists.tokens.push_back(sequence.canvas[position]);
  }
  for (const Position position : sequence.query.eligible) {
    const auto row =
        lists.reuse ? static_cast<int>(std::ranges::find(rows, position) - rows.begin()) : position;
    lists.eligible_rows.push_back(part.first_row + row);
    lists.eligible_cache_rows.push_back(static_cast<std::int32_t>(sequence.slot_begin) + position);
    lists.eligible_out.push_back(eligible_out++);
  }
  lists.parts.push_back(part);
}

void add_tiles(PassLists& lists, std::span<const StepSequence> sequences) {
  TileList all{lists.tiles, lists.most_splits}, last{lists.last_tiles, lists.last_most_splits};
  for (const PassPart& part : lists.parts) {
    all.add(sequences[part.index], part.first_row, part.num_rows);
    lists.tiles_end.push_back(static_cast<int>(lists.tiles.size()));
    if (!lists.reuse) last.add(sequences[part.index], part.first_eligible, part.num_eligible);
  }
  lists.partial_queries = std::max(all.partial, last.partial);
}

}  // namespace

PassLists reuse_lists(std::span<const StepSequence> sequences) {
  PassLists lists;
  lists.reuse = true;
  const std::vector<int> eligible = first_eligible(sequences);
  for (int i = 0; i < static_cast<int>(sequences.size()); ++i) {
    if (sequences[i].runs_reuse_pass())
      append(lists, sequences[i], i, 0, sequences[i].query.rows, eligible[i]);
  }
  add_tiles(lists, sequences);
  return lists;
}

PassLists refresh_lists(std::span<const StepSequence> sequences,
                        std::span<const int> boundaries,
                        int num_layers) {
  PassLists lists;
  const std::vector<int> eligible = first_eligible(sequences);
  std::vector<int> order(sequences.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](int i) { return boundaries[i]; });
  std::vector<Position> canvas;
  for (const int i : order) {
    if (boundaries[i] >= num_layers) break;
    canvas.resize(sequences[i].canvas_length());
    std::iota(canvas.begin(), canvas.end(), 0);
    append(lists, sequences[i], i, boundaries[i], canvas, eligible[i]);
  }
  add_tiles(lists, sequences);
  return lists;
}

}  // namespace rubato::cuda
