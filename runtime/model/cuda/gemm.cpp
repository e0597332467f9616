#include "runtime/model/cuda/gemm.h"

#include <cublas_v2.h>

#include "parallel/cuda/cuda_check.h"

namespace rubato::cuda {
namespace {

void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  detail::gpu_call_failed(call, __FILE__, __LINE__, cublasGetStatusString(status));
}

cudaDataType_t type_of(Element element) {
  return element == Element::kFloat32 ? CUDA_R_32F : CUDA_R_16BF;
}

}  // namespace

Gemm::Gemm(Stream stream) : stream_(stream) {
  void* workspace = workspace_.bytes(kWorkspaceBytes);  // first: it may throw
  check(cublasCreate(&handle_), "cublasCreate");
  check(cublasSetStream(handle_, stream), "cublasSetStream");
  check(cublasSetWorkspace(handle_, workspace, kWorkspaceBytes), "cublasSetWorkspace");
  check(cublasSetMathMode(
            handle_,
            static_cast<cublasMath_t>(CUBLAS_DEFAULT_MATH |
                                      CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION)),
        "cublasSetMathMode");
}

Gemm::~Gemm() {
  static_cast<void>(cublasDestroy(handle_));
}

void Gemm::run(const void* x,
               const void* w,
               void* y,
               std::int64_t rows,
               std::int64_t n,
               std::int64_t k,
               Element element,
               Element result) {
  if (rows == 0) return;
  // cuBLAS counts by columns: what is row-major here is the transpose there, so y^T = w x^T.
  const float one = 1, zero = 0;
  check(cublasGemmEx(handle_,
                     CUBLAS_OP_T,
                     CUBLAS_OP_N,
                     static_cast<int>(n),
                     static_cast<int>(rows),
                     static_cast<int>(k),
                     &one,
                     w,
                     type_of(element),
                     static_cast<int>(k),
                     x,
                     type_of(element),
                     static_cast<int>(k),
                     &zero,
                     y,
                     type_of(result),
                     static_cast<int>(n),
                     CUBLAS_COMPUTE_32F,
                     CUBLAS_GEMM_DEFAULT),
        "cublasGemmEx");
}

}  // namespace rubato::cuda
