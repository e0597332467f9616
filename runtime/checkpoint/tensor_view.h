#pragma once

#include <cstdint>

#include "runtime/checkpoint/dtype.h"
#include "runtime/checkpoint/mapped_file.h"

namespace rubato {

/// Consecutive indices, `end` not included.
struct IndexRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  std::int64_t size() const { return end - begin; }
  bool operator==(const IndexRange&) const = default;
};

/// The rows and columns of one tensor that a rank takes.
struct TensorSlice {
  IndexRange rows;
  IndexRange cols;

  std::int64_t size() const { return rows.size() * cols.size(); }
  bool operator==(const TensorSlice&) const = default;
};

/// A matrix inside a mapped file, row-major. A vector is a matrix of one row. Borrows the file: the
/// `Checkpoint` it came from must outlive it.
struct TensorView {
  const MappedFile* file = nullptr;
  std::uint64_t offset = 0;  ///< of the first value, in the file; not necessarily aligned
  DType dtype = DType::kFloat32;
  std::int64_t rows = 0;
  std::int64_t cols = 0;

  TensorSlice whole() const { return {{0, rows}, {0, cols}}; }
};

/// Copies a slice to `out` ([slice rows, slice columns], row-major, float32), converting from the
/// stored dtype and reading no other values. Any thread.
void copy_slice(const TensorView& tensor, const TensorSlice& slice, float* out);

/// The same to bfloat16, given as its bits: rounded to the nearest, ties to even; a NaN stays one.
void copy_slice(const TensorView& tensor, const TensorSlice& slice, std::uint16_t* out_bfloat16);

}  // namespace rubato
