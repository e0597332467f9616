#pragma once

#include <span>
#include <vector>

#include "runtime/model/cuda/kernels.h"
#include "runtime/model/step_sequence.h"

namespace rubato::cuda {

/// One sequence's part of a pass.
struct PassPart {
  int index = 0;     ///< in the step's list of sequences
  int boundary = 0;  ///< the layer at which it joins
  int first_row = 0, num_rows = 0;
  int first_eligible = 0, num_eligible = 0;  ///< in PassLists::eligible_*
};

/// A pass through the layers as lists over its rows: a pure function of the step. A refresh's
/// sequences stand in order of their boundaries, so that a layer's are the first ones of each list.
struct PassLists {
  bool reuse = false;
  std::vector<PassPart> parts;
  std::vector<std::int32_t> cache_rows, positions, tokens;  // [rows]
  // The last layer leaves the eligible rows only: where they stand in the pass, in the caches, and
  // among the eligible rows of all sequences.
  std::vector<std::int32_t> eligible_rows, eligible_cache_rows, eligible_out;
  std::vector<QueryTile> tiles;       // of all rows
  std::vector<int> tiles_end;         // by part: one past its last tile
  std::vector<QueryTile> last_tiles;  // of a refresh's eligible rows
  int most_splits = 1, last_most_splits = 1;
  std::int64_t partial_queries = 0;  // of Attention::partial, the larger of both

  /// One past the last row of the first `parts` parts.
  int end_row(std::size_t parts) const {
    return parts == 0 ? 0 : this->parts[parts - 1].first_row + this->parts[parts - 1].num_rows;
  }
  int num_rows() const { return static_cast<int>(cache_rows.size()); }
  int num_eligible() const { return static_cast<int>(eligible_rows.size()); }
};

/// Phase A: the reuse pass of the sequences that have one.
PassLists reuse_lists(std::span<const StepSequence> sequences);

/// Phase B: all rows of the sequences whose boundary is below `num_layers`.
PassLists refresh_lists(std::span<const StepSequence> sequences,
                        std::span<const int> boundaries,
                        int num_layers);

}  // namespace rubato::cuda
