#include "runtime/model/linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "parallel/local_group.h"
#include "tests/support/intra_op_threads.h"
#include "tests/support/rank_threads.h"

namespace rubato {
namespace {

using test::IntraOpThreads;

Linear linear_of(const at::Tensor& w, Storage storage = Storage::kFloat32, int groups = 1) {
  const std::int64_t k = w.size(1);
  const float* values = w.data_ptr<float>();
  return Linear(
      w.size(0), k, storage, groups, [=](std::int64_t begin, std::int64_t end, float* out) {
        std::copy(values + begin * k, values + end * k, out);
      });
}

at::Tensor applied(const Linear& linear, const at::Tensor& x) {
  at::Tensor y = at::empty({x.size(0), linear.n()});
  linear.apply(x.data_ptr<float>(), x.size(0), y.data_ptr<float>());
  return y;
}

TEST(Linear, MultipliesAsMatmul) {
  const at::Tensor x = at::randn({7, 40}), w = at::randn({50, 40});
  EXPECT_TRUE(at::allclose(applied(linear_of(w), x), at::matmul(x, w.t()), 1e-5, 1e-5));
}

TEST(Linear, RoundsItsWeightsToBFloat16) {
  const at::Tensor x = at::randn({7, 40}), w = at::randn({50, 40});
  const at::Tensor rounded = w.to(at::kBFloat16).to(at::kFloat);
  EXPECT_TRUE(applied(linear_of(w, Storage::kBFloat16), x).equal(applied(linear_of(rounded), x)));
  EXPECT_EQ(linear_of(w, Storage::kBFloat16).bytes(), 64 * 40 * 2);
}

TEST(Linear, IsReadByAnyNumberOfThreads) {
  const at::Tensor x = at::randn({2, 2048}), w = at::randn({1100, 2048});  // read in several parts
  for (const Storage storage : {Storage::kFloat32, Storage::kBFloat16}) {
    at::Tensor one;
    {
      const IntraOpThreads threads(1);
      one = applied(linear_of(w, storage), x);
    }
    const IntraOpThreads threads(3);
    EXPECT_TRUE(applied(linear_of(w, storage), x).equal(one));
    EXPECT_TRUE(at::allclose(one, at::matmul(x, w.t()), 1e-1, 1));
  }
}

TEST(Linear, GivesTheSameBitsOnAnyNumberOfThreads) {
  const at::Tensor x = at::randn({300, 256}), w = at::randn({768, 256});
  const Linear linear = linear_of(w);
  at::Tensor one, three;
  {
    const IntraOpThreads threads(1);
    one = applied(linear, x);
  }
  {
    const IntraOpThreads threads(3);
    three = applied(linear, x);
  }
  EXPECT_TRUE(one.equal(three));
}

TEST(Linear, ReadsItsWeightsAFewRowsAtATime) {
  constexpr std::int64_t kRows = 70, kWidth = 1 << 17;
  const at::Tensor x = at::randn({2, kWidth}), w = at::randn({kRows, kWidth});
  const IntraOpThreads threads(1);
  std::int64_t most = 0;
  const Linear linear(
      kRows, kWidth, Storage::kFloat32, 1, [&](std::int64_t begin, std::int64_t end, float* out) {
        most = std::max(most, end - begin);
        std::copy_n(w.data_ptr<float>() + begin * kWidth, (end - begin) * kWidth, out);
      });
  EXPECT_EQ(most, 32);  // 16 MiB; the last 6 rows are read by themselves
  EXPECT_TRUE(at::allclose(applied(linear, x), at::matmul(x, w.t()), 1e-4, 1e-2));
}

TEST(Linear, OfNoRowsDoesNothing) {
  linear_of(at::randn({4, 8})).apply(nullptr, 0, nullptr);
}

TEST(ReductionGroups, AreTheLargestPowerOfTwoUpToEightThatDivides) {
  EXPECT_EQ(reduction_groups(768), 8);
  EXPECT_EQ(reduction_groups(12), 4);
  EXPECT_EQ(reduction_groups(6), 2);
  EXPECT_EQ(reduction_groups(7), 1);
}

TEST(ReductionGroups, AreSharedEvenlyAndEachRankHasAtLeastOne) {
  EXPECT_EQ(local_groups(768, 1), 8);
  EXPECT_EQ(local_groups(768, 4), 2);
  EXPECT_EQ(local_groups(12, 4), 1);
  EXPECT_EQ(local_groups(768, 16), 1);
}

TEST(RowParallelLinear, GivesTheSameBitsAtAnyTensorParallelSize) {
  constexpr std::int64_t kRows = 21, kInner = 768;
  const at::Tensor x = at::randn({kRows, kInner}), w = at::randn({70, kInner});
  const at::Tensor whole = applied(linear_of(w, Storage::kFloat32, 8), x);
  EXPECT_TRUE(at::allclose(whole, at::matmul(x, w.t()), 1e-4, 1e-4));
  for (const int size : {2, 4, 8}) {
    LocalGroup group(size);
    test::run_ranks(size, [&](int rank) {
      const std::int64_t share = kInner / size, begin = rank * share;
      const Linear linear = linear_of(w.slice(1, begin, begin + share).contiguous(),
                                      Storage::kFloat32,
                                      local_groups(kInner, size));
      at::Tensor y = applied(linear, x.slice(1, begin, begin + share).contiguous());
      group.communicator(rank)->all_reduce_sum(y);
      EXPECT_TRUE(y.equal(whole)) << "rank " << rank << " of " << size;
    });
  }
}

TEST(ColumnParallelLinear, ComputesItsColumnsWithTheBitsOfTheWhole) {
  const at::Tensor x = at::randn({21, 256}), w = at::randn({72, 256});
  const at::Tensor whole = applied(linear_of(w), x);
  for (std::int64_t begin = 0; begin < 72; begin += 18) {  // shares that do not divide by a panel
    const at::Tensor part = applied(linear_of(w.slice(0, begin, begin + 18).contiguous()), x);
    EXPECT_TRUE(part.equal(whole.slice(1, begin, begin + 18)));
  }
}

}  // namespace
}  // namespace rubato
