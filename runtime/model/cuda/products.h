#pragma once

#include "runtime/model/cuda/device_weights.h"
#include "runtime/model/cuda/gemm.h"

namespace rubato::cuda {

/// The layers' products on one stream. Float8 weights meet few rows in a kernel that reads them as
/// they are, once for every 64 rows; for more rows they are first expanded to the element type, for
/// cuBLAS, which costs reading and writing them once. Engine thread only.
class Products {
 public:
  Products(const ModelShape& shape, Gemm& gemm, Stream stream);

  /// y[rows, n] := x[rows, k] w^T. x of the element type, y of `result`.
  void run(const void* x, DeviceMatrix& w, void* y, std::int64_t rows, Element result);

  /// Bytes of what it keeps for float8.
  static std::int64_t scratch_bytes(const ModelShape& shape);

 private:
  const Element element_;
  const std::int64_t most_rows_in_bands_;  // of float8, that are not expanded
  const Stream stream_;
  Gemm& gemm_;
  Memory expanded_;  // the largest matrix, of the element type
  Memory parts_;     // Float8Product::parts of the largest product
};

}  // namespace rubato::cuda
