#include "runtime/model/kernels/kernels.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace rubato {
namespace {

/// Every test runs on each instruction set that this machine has.
class KernelsOf : public testing::TestWithParam<const Kernels*> {
 protected:
  void SetUp() override { at::manual_seed(7); }
  const Kernels& kernels_ = *GetParam();
};

INSTANTIATE_TEST_SUITE_P(, KernelsOf, testing::ValuesIn(available_kernels()), [](const auto& test) {
  return std::string(test.param->name);
});

/// W [n, k] in panels of 32 columns, the last one padded.
at::Tensor packed(const at::Tensor& w, at::ScalarType type = at::kFloat) {
  const std::int64_t n = w.size(0), k = w.size(1);
  const std::int64_t panels = (n + kPanelWidth - 1) / kPanelWidth;
  const at::Tensor rows = at::zeros({panels * kPanelWidth, k}, type);
  rows.slice(0, 0, n).copy_(w);
  return rows.reshape({panels, kPanelWidth, k}).transpose(1, 2).contiguous();
}

at::Tensor multiply(const Kernels& kernels, const at::Tensor& x, const PackedWeights& w) {
  at::Tensor y = at::full({x.size(0), w.n}, -1.0);
  kernels.gemm(x.data_ptr<float>(),
               x.size(0),
               x.stride(0),
               w,
               y.data_ptr<float>(),
               w.n,
               0,
               (w.n + kPanelWidth - 1) / kPanelWidth);
  return y;
}

at::Tensor multiply(const Kernels& kernels, const at::Tensor& x, const at::Tensor& w, int groups) {
  const at::Tensor panels = packed(w);
  return multiply(kernels, x, {panels.data_ptr(), Storage::kFloat32, w.size(0), w.size(1), groups});
}

TEST_P(KernelsOf, MultiplyAsMatmulDoesForAnyShape) {
  for (const std::int64_t rows : {1, 2, 3, 5, 12, 13, 23, 40}) {
    for (const std::int64_t n : {1, 31, 32, 33, 96, 100}) {
      const at::Tensor x = at::randn({rows, 48}), w = at::randn({n, 48});
      const at::Tensor expected = at::matmul(x.to(at::kDouble), w.t().to(at::kDouble));
      EXPECT_TRUE(at::allclose(multiply(kernels_, x, w, 1).to(at::kDouble), expected, 1e-5, 1e-5))
          << rows << " rows, " << n << " columns";
      EXPECT_TRUE(at::allclose(multiply(kernels_, x, w, 8).to(at::kDouble), expected, 1e-5, 1e-5))
          << rows << " rows, " << n << " columns, 8 groups";
    }
  }
}

TEST_P(KernelsOf, MultiplyByBFloat16WeightsAsByTheirValues) {
  const at::Tensor x = at::randn({14, 64}), w = at::randn({70, 64}).to(at::kBFloat16);
  const at::Tensor halves = packed(w, at::kBFloat16);
  const at::Tensor y = multiply(kernels_, x, {halves.data_ptr(), Storage::kBFloat16, 70, 64, 1});
  EXPECT_TRUE(y.equal(multiply(kernels_, x, w.to(at::kFloat), 1)));
}

TEST_P(KernelsOf, GiveARowTheSameBitsAloneAndAmongOthers) {
  const at::Tensor x = at::randn({37, 256}), w = at::randn({96, 256});
  for (const int groups : {1, 8}) {
    const at::Tensor together = multiply(kernels_, x, w, groups);
    for (std::int64_t row = 0; row < x.size(0); ++row) {
      EXPECT_TRUE(multiply(kernels_, x.slice(0, row, row + 1), w, groups)[0].equal(together[row]))
          << "row " << row << ", " << groups << " groups";
    }
  }
}

/// The all-reduce's sum over ranks.
at::Tensor tree_sum(std::vector<at::Tensor> parts) {
  for (std::size_t width = parts.size(); width > 1; width /= 2) {
    for (std::size_t i = 0; i < width / 2; ++i) parts[i] = parts[2 * i] + parts[2 * i + 1];
  }
  return parts[0];
}

TEST_P(KernelsOf, SplitASumOverRanksWithTheBitsOfOneRank) {
  const at::Tensor x = at::randn({19, 768}), w = at::randn({64, 768});
  const at::Tensor whole = multiply(kernels_, x, w, 8);
  for (const int ranks : {2, 4, 8}) {
    std::vector<at::Tensor> parts;
    for (int rank = 0; rank < ranks; ++rank) {
      const std::int64_t share = 768 / ranks, begin = rank * share;
      parts.push_back(multiply(kernels_,
                               x.slice(1, begin, begin + share),
                               w.slice(1, begin, begin + share).contiguous(),
                               8 / ranks));
    }
    EXPECT_TRUE(tree_sum(parts).equal(whole)) << ranks << " ranks";
  }
}

TEST_P(KernelsOf, RoundToBFloat16AsATenDoes) {
  at::Tensor x = at::randn({1001}) * at::exp2(at::randint(-20, 20, {1001}));
  const at::Tensor ties = at::tensor({1.00390625f, 1.01171875f, -1.00390625f, 0.0f, -0.0f});
  x = at::cat({x, ties});
  const at::Tensor expected = x.to(at::kBFloat16).to(at::kFloat);
  kernels_.round(x.data_ptr<float>(), x.numel());
  EXPECT_TRUE(x.equal(expected));
}

TEST_P(KernelsOf, NormaliseByTheRootMeanSquare) {
  const at::Tensor x = at::randn({3, 50}), weight = at::randn({50});
  at::Tensor out = at::empty({3, 50});
  kernels_.rms_norm(x.data_ptr<float>(),
                    weight.data_ptr<float>(),
                    out.data_ptr<float>(),
                    3,
                    50,
                    1e-5f,
                    Storage::kFloat32);
  const at::Tensor expected = x * at::rsqrt(x.square().mean(1, true) + 1e-5) * weight;
  EXPECT_TRUE(at::allclose(out, expected, 1e-5, 1e-6));
}

TEST_P(KernelsOf, RotateHalvesByThePositionsAngle) {
  constexpr std::int64_t kRows = 3, kHeads = 2, kDim = 8, kHalf = kDim / 2;
  const std::int32_t positions[kRows] = {4, 0, 9};
  const at::Tensor angles = at::randn({10, kHalf});
  const at::Tensor cos = at::cos(angles), sin = at::sin(angles);
  const at::Tensor before = at::randn({kRows, kHeads, kDim});
  at::Tensor after = before.clone();
  kernels_.rope(after.data_ptr<float>(),
                positions,
                kRows,
                kHeads * kDim,
                kHeads,
                kDim,
                cos.data_ptr<float>(),
                sin.data_ptr<float>(),
                Storage::kFloat32);
  for (std::int64_t row = 0; row < kRows; ++row) {
    const at::Tensor a = before[row].slice(1, 0, kHalf), b = before[row].slice(1, kHalf);
    const at::Tensor c = cos[positions[row]], s = sin[positions[row]];
    EXPECT_TRUE(at::allclose(after[row], at::cat({a * c - b * s, b * c + a * s}, 1), 1e-5, 1e-6));
  }
}

TEST_P(KernelsOf, GateAndAdd) {
  const at::Tensor gate_up = at::randn({4, 2 * 37}) * 5;
  at::Tensor out = at::empty({4, 37});
  kernels_.swiglu(gate_up.data_ptr<float>(), out.data_ptr<float>(), 4, 37, Storage::kFloat32);
  EXPECT_TRUE(
      at::allclose(out, at::silu(gate_up.slice(1, 0, 37)) * gate_up.slice(1, 37), 1e-5, 1e-6));

  at::Tensor x = at::randn({40}), sum = x.clone();
  const at::Tensor delta = at::randn({40});
  kernels_.add(sum.data_ptr<float>(), delta.data_ptr<float>(), 40, Storage::kFloat32);
  EXPECT_TRUE(sum.equal(x + delta));
}

TEST_P(KernelsOf, SumTheExponentialsOfLogits) {
  for (const std::int64_t count : {1, 15, 16, 17, 100}) {
    const at::Tensor logits = at::randn({count}) * 20;
    const GroupStatistics found = kernels_.group_statistics(logits.data_ptr<float>(), count);
    const at::Tensor exact = logits.to(at::kDouble);
    EXPECT_EQ(found.max, logits.max().item<float>());
    EXPECT_NEAR(std::log(found.sum) + static_cast<double>(found.max),
                at::logsumexp(exact, 0).item<double>(),
                1e-6);
  }
}

TEST_P(KernelsOf, KeepWhatANearlySureRowLacksOfOne) {
  const at::Tensor logits = at::randn({100}) - 20;
  logits[37] = 0;
  const double rest = logits.to(at::kDouble).exp().sum().item<double>() - 1;
  const double found = kernels_.group_statistics(logits.data_ptr<float>(), 100).sum - 1;
  EXPECT_LT(rest, 1e-6);
  EXPECT_NEAR(found / rest, 1, 1e-6);
}

/// [3, count] from the attention of some heads, [heads, count] before and after.
at::Tensor drift_sums(const Kernels& kernels, const at::Tensor& before, const at::Tensor& after) {
  const std::int64_t count = before.size(1);
  at::Tensor sums = at::empty({3, count});
  kernels.drift_sums(before.data_ptr<float>(),
                     after.data_ptr<float>(),
                     static_cast<int>(before.size(0)),
                     count,
                     sums[0].data_ptr<float>(),
                     sums[1].data_ptr<float>(),
                     sums[2].data_ptr<float>());
  return sums;
}

TEST_P(KernelsOf, SumDriftOverRanksWithTheBitsOfOneRank) {
  const at::Tensor before = at::rand({8, 100}), after = at::rand({8, 100});
  const at::Tensor whole = drift_sums(kernels_, before, after);
  EXPECT_TRUE(at::allclose(whole[0], (before * after).sum(0)));
  EXPECT_TRUE(at::allclose(whole[1], before.square().sum(0)));
  EXPECT_TRUE(at::allclose(whole[2], after.square().sum(0)));
  for (const int ranks : {2, 4, 8}) {
    std::vector<at::Tensor> parts;
    for (int rank = 0; rank < ranks; ++rank) {
      const int heads = 8 / ranks;
      parts.push_back(drift_sums(
          kernels_, before.narrow(0, rank * heads, heads), after.narrow(0, rank * heads, heads)));
    }
    EXPECT_TRUE(tree_sum(parts).equal(whole)) << ranks << " ranks";
  }
}

}  // namespace
}  // namespace rubato
