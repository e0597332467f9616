#pragma once

#include <cstdint>
#include <memory>

#include "runtime/model/cuda/device_memory.h"
#include "runtime/model/cuda/kernels.h"

struct cublasContext;

namespace rubato::cuda {

/// Whether what a product gives a row may depend on how many rows there are.
enum class RowBits : std::uint8_t {
  kByBatch,  ///< cuBLAS takes what is quickest for the number of rows
  kFixed,    ///< a matrix is always multiplied by the same algorithm, which does not split k
};

/// Matrix products on one stream, through cuBLAS: float32 without TF32, bfloat16 with float32 sums.
/// Owns its handle and workspace.
class Gemm {
 public:
  /// What NVIDIA advises for Hopper; its own, so that a graph's capture finds it allocated.
  static constexpr std::int64_t kWorkspaceBytes = 32 << 20;

  explicit Gemm(Stream stream, RowBits row_bits = RowBits::kByBatch);
  ~Gemm();
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;

  /// y[rows, n] := x[rows, k] w[n, k]^T. x, w of the element type; y of `result`.
  void run(const void* x,
           const void* w,
           void* y,
           std::int64_t rows,
           std::int64_t n,
           std::int64_t k,
           Element element,
           Element result);

 private:
  class Fixed;

  Stream stream_;
  cublasContext* handle_ = nullptr;
  Memory workspace_;
  std::unique_ptr<Fixed> fixed_;  // of RowBits::kFixed
};

}  // namespace rubato::cuda
