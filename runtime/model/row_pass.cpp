#include "runtime/model/row_pass.h"

#include <numeric>

namespace rubato {

void RowPass::append(int index,
                     const StepSequence& sequence,
                     std::span<const Position> rows,
                     bool reuse) {
  sequences.push_back({.index = index,
                       .sequence = &sequence,
                       .first_row = static_cast<int>(num_rows()),
                       .num_rows = static_cast<int>(rows.size()),
                       .reuse = reuse,
                       .from_cache = false});
  positions.insert(positions.end(), rows.begin(), rows.end());
}

void RowPass::append_canvas(int index, const StepSequence& sequence, bool from_cache) {
  std::vector<Position> rows(sequence.canvas_length());
  std::iota(rows.begin(), rows.end(), 0);
  append(index, sequence, rows, /*reuse=*/false);
  sequences.back().from_cache = from_cache;
}

}  // namespace rubato
