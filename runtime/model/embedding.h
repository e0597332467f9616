#pragma once

#include <cstdint>
#include <vector>

#include "runtime/checkpoint/tensor_view.h"
#include "runtime/model/linear.h"

namespace rubato {

/// Rows of the embedding, stored as `storage`. Immutable; any thread.
class Embedding {
 public:
  /// Copies `slice`, which consists of whole rows.
  Embedding(const TensorView& tensor, const TensorSlice& slice, Storage storage);

  /// Reads the rows, [rows, width], through `read`.
  Embedding(std::int64_t rows, std::int64_t width, Storage storage, const RowReader& read);

  /// out: [row width]
  void copy_row(std::int64_t row, float* out) const;

 private:
  std::int64_t width_;
  std::vector<float> floats_;          // one of the two, by storage
  std::vector<std::uint16_t> halves_;  // bfloat16 bits
};

}  // namespace rubato
