#include "runtime/model/float8.h"

#include <cmath>

#include "tests/runtime/model/cuda/gpu.h"

namespace rubato::cuda::testing {
namespace {

constexpr int kNaNBits = 0x7f;

/// Random float8 weights, [n, k], and what they are worth.
struct Weights {
  Weights() = default;
  Weights(int n, int k, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    for (int row = 0; row < n; ++row) {
      scales.push_back(std::ldexp(1.0f, static_cast<int>(random() % 8) - 12));
      for (int i = 0; i < k; ++i) {
        auto one = static_cast<std::uint8_t>(random());
        if ((one & kNaNBits) == kNaNBits) --one;
        bits.push_back(one);
        values.push_back(from_float8(one, scales.back()));
      }
    }
  }

  std::vector<std::uint8_t> bits;
  std::vector<float> scales, values;
};

/// x w^T by the kernel for few rows; x [rows, k].
std::vector<float> multiplied(
    const std::vector<float>& x, const Weights& weights, int rows, int splits, Element result) {
  const int n = static_cast<int>(weights.scales.size());
  Numbers device_x(x, Element::kBFloat16), y(std::vector<float>(rows * n, 99.0f), result);
  OnGpu<std::uint8_t> w(weights.bits);
  OnGpu<float> scales(weights.scales), parts(std::vector<float>(splits * rows * n));
  multiply_float8({.x = device_x.get(),
                   .w = w.get(),
                   .scales = scales.get(),
                   .y = y.get(),
                   .parts = parts.get(),
                   .rows = rows,
                   .n = n,
                   .k = static_cast<int>(std::ssize(weights.bits) / n),
                   .splits = splits,
                   .result = result},
                  nullptr);
  return y.read();
}

class CudaFloat8 : public GpuTest {};

/// The i-th of the 254 numbers, and again from the first.
std::uint8_t number_bits(int i) {
  return static_cast<std::uint8_t>(i % 127 | i / 127 % 2 << 7);
}

TEST_F(CudaFloat8, EveryNumberIsExpandedExactly) {
  for (const int k : {127, 132, 3000}) {
    std::vector<std::uint8_t> bits;
    for (int i = 0; i < 2 * k; ++i) bits.push_back(number_bits(i));
    const std::vector<float> scales = {0.5f, 0x1p-30f};
    OnGpu<std::uint8_t> w(bits);
    OnGpu<float> device_scales(scales);
    for (const Element element : kElements) {
      Numbers out(std::vector<float>(bits.size(), 99.0f), element);
      expand_float8(w.get(), device_scales.get(), 2, k, out.get(), element, nullptr);
      const std::vector<float> found = out.read();
      for (std::size_t i = 0; i < bits.size(); ++i)
        ASSERT_EQ(found[i], from_float8(bits[i], scales[i / k])) << i;
    }
  }
}

/// Each row of x takes one weight of every channel.
TEST_F(CudaFloat8, EveryNumberIsMultipliedExactlyWhereverItStands) {
  constexpr int kRows = 64, kK = 64, kN = 254;
  std::vector<float> x(kRows * kK);
  for (int row = 0; row < kRows; ++row) x[row * kK + row] = 1;
  Weights weights;
  for (int channel = 0; channel < kN; ++channel) {
    weights.scales.push_back(0.25f);
    for (int i = 0; i < kK; ++i) weights.bits.push_back(number_bits(channel + i));
  }
  const std::vector<float> found = multiplied(x, weights, kRows, 1, Element::kFloat32);
  for (int row = 0; row < kRows; ++row) {
    for (int channel = 0; channel < kN; ++channel)
      ASSERT_EQ(found[row * kN + channel], from_float8(number_bits(channel + row), 0.25f))
          << row << " " << channel;
  }
}

TEST_F(CudaFloat8, MultipliesFewRows) {
  struct Case {
    int rows, n, k, splits;
  };
  for (const auto [rows, n, k, splits] : {Case{1, 8, 64, 1},
                                          Case{5, 40, 128, 1},
                                          Case{8, 33, 192, 3},
                                          Case{16, 130, 320, 2},
                                          Case{27, 128, 256, 4},
                                          Case{64, 160, 448, 5}}) {
    const std::vector<float> x = random_values(rows * k, 1, Element::kBFloat16);
    const Weights weights(n, k, 2);
    for (const Element result : kElements) {
      const std::vector<float> found = multiplied(x, weights, rows, splits, result);
      for (int row = 0; row < rows; ++row) {
        for (int channel = 0; channel < n; ++channel) {
          double expected = 0, size = 0;
          for (int i = 0; i < k; ++i) {
            const double product = double{x[row * k + i]} * weights.values[channel * k + i];
            expected += product;
            size += std::abs(product);
          }
          const double bound =
              2e-6 * size + (result == Element::kFloat32 ? 0 : 4e-3 * std::abs(expected));
          ASSERT_NEAR(found[row * n + channel], expected, bound)
              << rows << " " << n << " " << k << ": " << row << " " << channel;
        }
      }
    }
  }
}

TEST_F(CudaFloat8, ARowsBitsDoNotDependOnTheOthers) {
  constexpr int kRows = 64, kN = 96, kK = 256, kSplits = 2;
  const std::vector<float> x = random_values(kRows * kK, 4, Element::kBFloat16);
  const Weights weights(kN, kK, 5);
  const std::vector<float> all = multiplied(x, weights, kRows, kSplits, Element::kFloat32);
  for (const int rows : {1, 9, 20, 33}) {
    const std::vector<float> few(x.begin(), x.begin() + rows * kK);
    const std::vector<float> some = multiplied(few, weights, rows, kSplits, Element::kFloat32);
    EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin())) << rows;
  }
}

}  // namespace
}  // namespace rubato::cuda::testing
