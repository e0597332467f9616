// Products with float8 weights by the number of rows, against the plain definition.
#include "runtime/model/cuda/products.h"

#include <cmath>

#include "runtime/model/float8.h"
#include "tests/runtime/model/cuda/gpu.h"

namespace rubato::cuda::testing {
namespace {

constexpr int kWidth = 128, kMostRows = 200;

class CudaProducts : public GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    if (IsSkipped()) return;
    std::mt19937_64 random(1);
    std::vector<std::uint8_t> bits;
    for (int i = 0; i < kWidth * kWidth; ++i) {
      bits.push_back(static_cast<std::uint8_t>(random() % 0x60 | random() % 2 << 7));
      weights_.push_back(from_float8(bits.back(), kScale));
    }
    OnGpu<std::uint8_t> values(bits);
    OnGpu<float> scales(std::vector<float>(kWidth, kScale));
    matrix_.n = matrix_.k = kWidth;
    copy(values.get(), matrix_.values.bytes(bits.size()), bits.size());
    copy(scales.get(), matrix_.scales.as<float>(kWidth), kWidth * sizeof(float));
  }

  std::vector<float> run(const std::vector<float>& x, int rows, bool batch_invariant = false) {
    Gemm gemm(nullptr);
    ModelShape shape = shape_;
    shape.batch_invariant = batch_invariant;
    Products products(shape, gemm, nullptr);
    Numbers in(std::vector<float>(x.begin(), x.begin() + rows * kWidth), Element::kBFloat16),
        out(std::vector<float>(rows * kWidth, 99.0f), Element::kFloat32);
    products.run(in.get(), matrix_, out.get(), rows, Element::kFloat32);
    return out.read();
  }

  static void copy(const void* from, void* to, std::size_t bytes) {
    RUBATO_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, nullptr));
    RUBATO_CUDA(cudaStreamSynchronize(nullptr));
  }

  static constexpr float kScale = 0.125f;
  const ModelShape shape_{.d_model = kWidth,
                          .num_heads = 2,
                          .mlp_width = kWidth,
                          .storage = Storage::kBFloat16,
                          .float8 = true};
  const std::vector<float> x_ = random_values(kMostRows * kWidth, 2, Element::kBFloat16);
  std::vector<float> weights_;
  DeviceMatrix matrix_;
};

TEST_F(CudaProducts, MultiplyFloat8WeightsForAnyNumberOfRows) {
  for (const int rows : {1, 64, 65, 192, 193}) {
    const std::vector<float> found = run(x_, rows);
    for (int row = 0; row < rows; ++row) {
      for (int channel = 0; channel < kWidth; ++channel) {
        double expected = 0, size = 0;
        for (int i = 0; i < kWidth; ++i) {
          const double product = double{x_[row * kWidth + i]} * weights_[channel * kWidth + i];
          expected += product;
          size += std::abs(product);
        }
        ASSERT_NEAR(found[row * kWidth + channel], expected, 2e-6 * size)
            << rows << ": " << row << " " << channel;
      }
    }
  }
}

TEST_F(CudaProducts, BatchInvariantRowsGetTheBitsOfFewAmongMany) {
  const std::vector<float> few = run(x_, 5, /*batch_invariant=*/true),
                           many = run(x_, kMostRows, /*batch_invariant=*/true);
  EXPECT_TRUE(std::equal(few.begin(), few.end(), many.begin()));
}

TEST_F(CudaProducts, RowsInBandsGetTheBitsTheyWouldGetAlone) {
  const std::vector<float> all = run(x_, 130);
  for (int first = 0; first < 130; first += 26) {
    const std::vector<float> few(x_.begin() + first * kWidth, x_.end());
    const std::vector<float> found = run(few, 26);
    EXPECT_TRUE(std::equal(found.begin(), found.end(), all.begin() + first * kWidth)) << first;
  }
}

}  // namespace
}  // namespace rubato::cuda::testing
