#include "runtime/model/cuda/fetched_rows.h"

#include "tests/runtime/model/cuda/gpu.h"

namespace rubato::cuda::testing {
namespace {

class CudaFetchedRows : public GpuTest {};

TEST_F(CudaFetchedRows, RowsAreReadInAnyOrderThroughABufferOfAFew) {
  constexpr int kRows = 9, kWidth = 5;
  const std::vector<float> values = random_values(kRows * kWidth, 1, Element::kFloat32);
  OnGpu<float> matrix(values);
  for (const int held : {0, 1, 2, 3, 6}) {
    FetchedRows fetched(kWidth, kRows, held * kWidth * static_cast<int>(sizeof(float)));
    fetched.start(matrix.get(), {0, 1, 3, 4, 5, 8}, nullptr);
    const auto wait = [] { RUBATO_CUDA(cudaStreamSynchronize(nullptr)); };
    wait();
    for (const int row : {0, 1, 3, 4, 5, 8, 1, 5}) {
      const auto found = fetched.row(row, wait);
      EXPECT_EQ(
          std::vector<float>(found.begin(), found.end()),
          std::vector<float>(values.begin() + row * kWidth, values.begin() + (row + 1) * kWidth))
          << "row " << row << ", " << held << " at a time";
    }
  }
}

}  // namespace
}  // namespace rubato::cuda::testing
