#pragma once

#include <span>
#include <vector>

#include "runtime/model/step_sequence.h"

namespace rubato {

/// One sequence's rows in a pass through the layers.
struct PassSequence {
  int index = 0;  ///< in the step's list of sequences
  const StepSequence* sequence = nullptr;
  int first_row = 0;
  int num_rows = 0;
  bool reuse = false;       ///< phase A; else a refresh of all rows
  bool from_cache = false;  ///< joins at this layer: hidden input, Q, K and V are in the cache

  std::int64_t end_row() const { return std::int64_t{first_row} + num_rows; }
};

/// The rows that one pass through the layers computes: those of several sequences, packed one after
/// the other.
struct RowPass {
  std::vector<PassSequence> sequences;
  std::vector<Position> positions;  ///< [rows], each on its sequence's canvas

  void clear() { sequences.clear(), positions.clear(); }

  std::int64_t num_rows() const { return std::ssize(positions); }
  std::span<const Position> positions_of(const PassSequence& packed) const {
    return std::span(positions).subspan(packed.first_row, packed.num_rows);
  }

  /// Appends a sequence's rows.
  void append(int index, const StepSequence& sequence, std::span<const Position> rows, bool reuse);

  /// Appends all rows of a sequence that is refreshed, from its cached hidden input unless
  /// `from_cache` is false.
  void append_canvas(int index, const StepSequence& sequence, bool from_cache);
};

}  // namespace rubato
