#include "runtime/model/cuda/gemm.h"

#include <cublasLt.h>
#include <cublas_v2.h>

#include <compare>
#include <map>

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

/// y[rows, n] := x[rows, k] w[n, k]^T as cublasLt describes it. It counts by columns: what is
/// row-major here is the transpose there, so y^T = w x^T.
struct Description {
  cublasLtMatmulDescOpaque_t operation;
  cublasLtMatrixLayoutOpaque_t w, x, y;

  Description(std::int64_t rows, std::int64_t n, std::int64_t k, Element element, Element result) {
    check(cublasLtMatmulDescInit(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F),
          "cublasLtMatmulDescInit");
    const cublasOperation_t transposed = CUBLAS_OP_T;
    check(cublasLtMatmulDescSetAttribute(
              &operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed),
          "cublasLtMatmulDescSetAttribute");
    lay_out(w, element, k, n);
    lay_out(x, element, k, rows);
    lay_out(y, result, n, rows);
  }

 private:
  static void lay_out(cublasLtMatrixLayoutOpaque_t& matrix,
                      Element element,
                      std::int64_t height,
                      std::int64_t width) {
    check(cublasLtMatrixLayoutInit(&matrix,
                                   type_of(element),
                                   static_cast<std::uint64_t>(height),
                                   static_cast<std::uint64_t>(width),
                                   height),
          "cublasLtMatrixLayoutInit");
  }
};

/// What cublasLt may choose from, so that no algorithm depends on more than the matrix.
struct Preference {
  cublasLtMatmulPreferenceOpaque_t value;

  Preference() {
    check(cublasLtMatmulPreferenceInit(&value), "cublasLtMatmulPreferenceInit");
    set<std::uint64_t>(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, Gemm::kWorkspaceBytes);
    set<std::uint32_t>(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, CUBLASLT_REDUCTION_SCHEME_NONE);
    constexpr std::uint32_t kAlignment = 16;  // of a row of any part of the scratch
    for (const auto attribute : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
                                 CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                                 CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
                                 CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      set<std::uint32_t>(attribute, kAlignment);
  }

 private:
  template <class T>
  void set(cublasLtMatmulPreferenceAttributes_t attribute, T its_value) {
    check(cublasLtMatmulPreferenceSetAttribute(&value, attribute, &its_value, sizeof its_value),
          "cublasLtMatmulPreferenceSetAttribute");
  }
};

}  // namespace

/// Products by cublasLt, of each matrix always by the same algorithm.
class Gemm::Fixed {
 public:
  struct Matrix {
    std::int64_t n, k;
    Element element, result;
    auto operator<=>(const Matrix&) const = default;
  };

  Fixed() { check(cublasLtCreate(&handle_), "cublasLtCreate"); }
  ~Fixed() { static_cast<void>(cublasLtDestroy(handle_)); }
  Fixed(const Fixed&) = delete;
  Fixed& operator=(const Fixed&) = delete;

  void run(const void* x,
           const void* w,
           void* y,
           std::int64_t rows,
           const Matrix& matrix,
           void* workspace,
           Stream stream) {
    const auto& [n, k, element, result] = matrix;
    const float one = 1, zero = 0;
    Description product(rows, n, k, element, result);
    check(cublasLtMatmul(handle_,
                         &product.operation,
                         &one,
                         w,
                         &product.w,
                         x,
                         &product.x,
                         &zero,
                         y,
                         &product.y,
                         y,
                         &product.y,
                         &algorithm_for(matrix),
                         workspace,
                         kWorkspaceBytes,
                         stream),
          "cublasLtMatmul");
  }

 private:
  const cublasLtMatmulAlgo_t& algorithm_for(const Matrix& matrix) {
    const auto found = algorithms_.find(matrix);
    if (found != algorithms_.end()) return found->second;
    constexpr std::int64_t kTypicalRows = 64;  // of a reuse pass, whose time matters most
    const auto& [n, k, element, result] = matrix;
    Description product(kTypicalRows, n, k, element, result);
    Preference preference;
    cublasLtMatmulHeuristicResult_t advice{};
    int count = 0;
    check(cublasLtMatmulAlgoGetHeuristic(handle_,
                                         &product.operation,
                                         &product.w,
                                         &product.x,
                                         &product.y,
                                         &product.y,
                                         &preference.value,
                                         1,
                                         &advice,
                                         &count),
          "cublasLtMatmulAlgoGetHeuristic");
    RUBATO_CHECK(count == 1, "cublasLt has no algorithm for a product with ", n, " x ", k);
    return algorithms_[matrix] = advice.algo;
  }

  cublasLtHandle_t handle_ = nullptr;
  std::map<Matrix, cublasLtMatmulAlgo_t> algorithms_;
};

Gemm::Gemm(Stream stream, RowBits row_bits) : stream_(stream) {
  void* workspace = workspace_.bytes(kWorkspaceBytes);  // first: it may throw
  if (row_bits == RowBits::kFixed) fixed_ = std::make_unique<Fixed>();
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
  if (fixed_)
    return fixed_->run(x, w, y, rows, {n, k, element, result}, workspace_.bytes(0), stream_);
  // (By columns: see Description.)
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
