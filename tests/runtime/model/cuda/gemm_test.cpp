#include "runtime/model/cuda/gemm.h"

#include <array>
#include <cmath>

#include "tests/runtime/model/cuda/gpu.h"

namespace rubato::cuda::testing {
namespace {

class CudaGemm : public GpuTest {};

constexpr RowBits kRowBits[] = {RowBits::kByBatch, RowBits::kFixed};

TEST_F(CudaGemm, MultipliesRowsWithTheTransposeAndUsesNoTf32) {
  for (const RowBits row_bits : kRowBits) {
    Gemm gemm(nullptr, row_bits);
    for (const Element element : kElements) {
      for (const auto [rows, n, k] : {std::array{1, 8, 16}, {5, 24, 40}, {70, 64, 256}}) {
        const std::vector<float> x = random_values(rows * k, 1, element),
                                 w = random_values(n * k, 2, element);
        for (const Element result : {element, Element::kFloat32}) {
          Numbers device_x(x, element), device_w(w, element),
              y(std::vector<float>(rows * n, 99.0f), result);
          gemm.run(device_x.get(), device_w.get(), y.get(), rows, n, k, element, result);
          const std::vector<float> found = y.read();
          for (int row = 0; row < rows; ++row) {
            for (int column = 0; column < n; ++column) {
              double expected = 0, size = 0;
              for (int i = 0; i < k; ++i) {
                const double product = double{x[row * k + i]} * w[column * k + i];
                expected += product;
                size += std::abs(product);
              }
              const double bound =
                  result == Element::kFloat32 ? 2e-6 * size : 5e-3 * (1 + std::abs(expected));
              ASSERT_NEAR(found[row * n + column], expected, bound) << rows << " " << n << " " << k;
            }
          }
        }
      }
    }
  }
}

TEST_F(CudaGemm, WithFixedBitsARowsResultIsTheSameAmongAnyOthers) {
  Gemm gemm(nullptr, RowBits::kFixed);
#ifdef RUBATO_CUDA_EMULATED
  constexpr int kN = 24, kK = 64;
#else
  constexpr int kN = 768, kK = 4096;  // small enough that cuBLAS would split k for few rows
#endif
  constexpr int kMostRows = 600;
  for (const Element element : kElements) {
    Numbers x(random_values(kMostRows * kK, 1, element), element),
        w(random_values(kN * kK, 2, element), element);
    for (const Element result : {element, Element::kFloat32}) {
      std::vector<float> alone;
      for (const int rows : {1, 7, 64, 65, 200, kMostRows}) {
        Numbers y(std::vector<float>(rows * kN, 99.0f), result);
        gemm.run(x.get(), w.get(), y.get(), rows, kN, kK, element, result);
        std::vector<float> first = y.read();
        first.resize(kN);
        if (rows == 1) alone = first;
        EXPECT_EQ(first, alone) << rows << " rows";
      }
    }
  }
}

}  // namespace
}  // namespace rubato::cuda::testing
