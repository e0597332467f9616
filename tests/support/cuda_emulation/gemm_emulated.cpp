// runtime/model/cuda/gemm.h without cuBLAS: plain sums.
#include <cuda_bf16.h>

#include "parallel/cuda/cuda_check.h"
#include "runtime/model/cuda/gemm.h"
#include "tests/support/cuda_emulation/device.h"

namespace rubato::cuda {
namespace {

float element(const void* data, std::int64_t i, Element type) {
  return type == Element::kFloat32 ? static_cast<const float*>(data)[i]
                                   : __bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]);
}

void multiply(const void* x,
              const void* w,
              void* y,
              std::int64_t rows,
              std::int64_t n,
              std::int64_t k,
              Element type,
              Element result) {
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t column = 0; column < n; ++column) {
      float sum = 0;
      for (std::int64_t i = 0; i < k; ++i)
        sum += element(x, row * k + i, type) * element(w, column * k + i, type);
      if (result == Element::kFloat32) {
        static_cast<float*>(y)[row * n + column] = sum;
      } else {
        static_cast<__nv_bfloat16*>(y)[row * n + column] = __float2bfloat16_rn(sum);
      }
    }
  }
}

}  // namespace

class Gemm::Fixed {};  // plain sums are

Gemm::Gemm(Stream stream, RowBits) : stream_(stream) {}

Gemm::~Gemm() = default;

void Gemm::run(const void* x,
               const void* w,
               void* y,
               std::int64_t rows,
               std::int64_t n,
               std::int64_t k,
               Element type,
               Element result) {
  const bool told =
      emulation::enqueue(stream_, [=] { multiply(x, w, y, rows, n, k, type, result); });
  if (!told) detail::gpu_call_failed("cublasGemmEx", __FILE__, __LINE__, "it cannot be captured");
}

}  // namespace rubato::cuda
