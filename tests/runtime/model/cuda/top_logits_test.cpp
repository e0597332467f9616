// The highest logits of rows, found on the GPU, against the plain definition.
#include "runtime/model/top_logits.h"

#include <cmath>

#include "tests/runtime/model/cuda/gpu.h"

namespace rubato::cuda::testing {
namespace {

class CudaTopLogits : public GpuTest {};

/// What the GPU finds of rows [first_id, first_id + width) of `logits`, [.., stride], which are
/// asked for `counts` of theirs; 0: not at all.
std::vector<double> found_in(const std::vector<float>& logits,
                             int stride,
                             int first_id,
                             int width,
                             const std::vector<int>& counts) {
  std::vector<float> slice;
  std::vector<TopRow> rows;
  std::int64_t size = 0;
  int most = 0;
  for (std::size_t row = 0; row < counts.size(); ++row) {
    const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(row) * stride + first_id;
    slice.insert(slice.end(), begin, begin + width);
    if (counts[row] == 0) continue;
    rows.push_back({static_cast<std::int32_t>(row), counts[row], size});
    size += 2 * counts[row];
    most = std::max(most, counts[row]);
  }
  const int num_rows = static_cast<int>(rows.size());
  OnGpu<float> device(slice);
  OnGpu<TopRow> device_rows(rows);
  OnGpu<double> scratch(std::vector<double>(top_scratch_size(num_rows, most, width), NAN)),
      pairs(std::vector<double>(size, NAN));
  find_top_logits({.logits = device.get(),
                   .rows = device_rows.get(),
                   .num_rows = num_rows,
                   .most = most,
                   .width = width,
                   .first_id = first_id,
                   .scratch = scratch.get(),
                   .pairs = pairs.get()},
                  nullptr);
  return pairs.read();
}

std::vector<double> expected_in(const std::vector<float>& logits,
                                int width,
                                const std::vector<int>& counts) {
  std::vector<double> expected;
  for (std::size_t row = 0; row < counts.size(); ++row) {
    if (counts[row] > 0)
      append_top(std::span(logits).subspan(row * width, width), 0, counts[row], expected);
  }
  return expected;
}

/// Logits of few different values, so that most are tied with others.
std::vector<float> tied_values(std::int64_t count, std::uint64_t seed) {
  std::vector<float> values = random_values(count, seed, Element::kFloat32, 2);
  for (float& value : values) value = std::round(value);
  return values;
}

TEST_F(CudaTopLogits, AreThoseOfTheDefinitionForEveryCount) {
  const int width = 300;
  const std::vector<float> logits = random_values(20 * width, 1, Element::kFloat32, 3);
  std::vector<int> counts;
  for (int count = 1; count <= 20; ++count) counts.push_back(count);
  EXPECT_EQ(found_in(logits, width, 0, width, counts), expected_in(logits, width, counts));
}

TEST_F(CudaTopLogits, TiesGoToTheLowestIdOverAwkwardWidths) {
  const std::vector<int> counts{20, 0, 1, 7};
  for (const int width : {1, 5, 31, 256, 257, 4095, 4096, 4097, 8500}) {
    const std::vector<float> logits = tied_values(4 * width, width);
    EXPECT_EQ(found_in(logits, width, 0, width, counts), expected_in(logits, width, counts))
        << "width " << width;
  }
}

TEST_F(CudaTopLogits, WhatIsNoNumberIsNotAmongThem) {
  std::vector<float> logits{1, NAN, 3, NAN, -INFINITY, 2};
  EXPECT_EQ(found_in(logits, 6, 0, 6, {5}),
            (std::vector<double>{2, 3, 5, 2, 0, 1, 4, -INFINITY, -1, 0}));
}

TEST_F(CudaTopLogits, SlicesOfSeveralRanksMergeToThoseOfTheWhole) {
  const int count = 9;
  for (const int ranks : {2, 4}) {
    const int width = 1200 / ranks;
    const std::vector<float> logits = tied_values(1200, 3);
    std::vector<double> gathered;
    for (int rank = 0; rank < ranks; ++rank) {
      const auto part = found_in(logits, 1200, rank * width, width, {count});
      gathered.insert(gathered.end(), part.begin(), part.end());
    }
    const std::vector<TokenLogprob> merged =
        merge_top(gathered, 0, 2 * count, count, /*most=*/0, /*log_sum=*/0);
    const std::vector<double> whole = expected_in(logits, 1200, {count});
    ASSERT_EQ(std::ssize(merged), count);
    for (int i = 0; i < count; ++i) {
      EXPECT_EQ(merged[i].token, whole[2 * i]) << ranks << " ranks, place " << i;
      EXPECT_EQ(merged[i].logprob, whole[2 * i + 1]) << ranks << " ranks, place " << i;
    }
  }
}

}  // namespace
}  // namespace rubato::cuda::testing
