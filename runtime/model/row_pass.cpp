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
  append(index, sequence, {}, /*reuse=*/false);
  sequences.back().num_rows = sequence.canvas_length();
  sequences.back().from_cache = from_cache;
  positions.resize(positions.size() + sequence.canvas_length());
  std::iota(positions.end() - sequence.canvas_length(), positions.end(), 0);
}

}  // namespace rubato
