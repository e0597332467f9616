#pragma once

#include <cstdint>

#include "runtime/checkpoint/tensor_view.h"
#include "runtime/model/linear.h"
#include "runtime/model/weight_memory.h"

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
  float* floats() const { return static_cast<float*>(memory_.get()); }
  std::uint16_t* halves() const { return static_cast<std::uint16_t*>(memory_.get()); }

  std::int64_t width_;
  Storage storage_;
  WeightMemory memory_;  // [rows, width] of float, or of bfloat16 bits
};

}  // namespace rubato
