#pragma once

#include <cstdint>

#include "runtime/model/cuda/device_memory.h"
#include "runtime/model/cuda/kernels.h"

struct cublasContext;

namespace rubato::cuda {

/// Matrix products on one stream, through cuBLAS: float32 without TF32, bfloat16 with float32 sums.
/// Owns its handle and workspace.
class Gemm {
 public:
  /// What NVIDIA advises for Hopper; its own, so that a graph's capture finds it allocated.
  static constexpr std::int64_t kWorkspaceBytes = 32 << 20;

  explicit Gemm(Stream stream);
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
  Stream stream_;
  cublasContext* handle_ = nullptr;
  Memory workspace_;
};

}  // namespace rubato::cuda
