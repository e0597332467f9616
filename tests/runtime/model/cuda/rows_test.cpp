// What is done to rows on the GPU, against the kernels of the CPU, which round in the same places.
#include <cmath>
#include <numeric>

#include "runtime/model/kernels/kernels.h"
#include "tests/runtime/model/cuda/gpu.h"

namespace rubato::cuda::testing {
namespace {

using Matrix = std::vector<float>;

Storage storage_of(Element element) {
  return element == Element::kFloat32 ? Storage::kFloat32 : Storage::kBFloat16;
}

void expect_near(const Matrix& expected, const Matrix& found, Element element) {
  ASSERT_EQ(expected.size(), found.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    ASSERT_NEAR(expected[i], found[i], tolerance(element) / 2 * (1 + std::abs(expected[i])))
        << "at " << i;
}

class CudaRows : public GpuTest {};

TEST_F(CudaRows, ResidualNormAddsKeepsAndNorms) {
  for (const Element element : kElements) {
    for (const int width : {6, 64, 1000, 4096}) {
      const int rows = 3, first = width / 2, part = width - first, capacity = 5;
      Matrix hidden = random_values(rows * width, 1, element);
      const Matrix delta = random_values(rows * width, 2, Element::kFloat32);
      const Matrix weight = random_values(width, 3, element);
      Numbers device_hidden(hidden, element), normed(Matrix(rows * width), element),
          x(Matrix(capacity * part, 7.0f), element);
      OnGpu<float> device_delta(delta), device_weight(weight);
      OnGpu<std::int32_t> cache_rows({4, -1, 1});
      residual_norm({.hidden = device_hidden.get(),
                     .delta = device_delta.get(),
                     .weight = device_weight.get(),
                     .normed = normed.get(),
                     .x = {x.get(), part},
                     .cache_rows = cache_rows.get(),
                     .first_column = first,
                     .rows = rows,
                     .width = width,
                     .eps = 1e-5f},
                    element,
                    nullptr);
      Matrix expected(rows * width);
      kernels().add(hidden.data(), delta.data(), rows * width, storage_of(element));
      kernels().rms_norm(
          hidden.data(), weight.data(), expected.data(), rows, width, 1e-5f, storage_of(element));
      EXPECT_EQ(device_hidden.read(), hidden);
      expect_near(expected, normed.read(), element);
      const Matrix kept = x.read();
      for (int i = 0; i < part; ++i) {
        ASSERT_EQ(kept[4 * part + i], hidden[first + i]);
        ASSERT_EQ(kept[1 * part + i], hidden[2 * width + first + i]);
        ASSERT_EQ(kept[3 * part + i], 7.0f);
      }
    }
  }
}

TEST_F(CudaRows, ANormWithoutDeltaAndXOnlyNorms) {
  for (const Element element : kElements) {
    for (const int width : {6, 1000, 4096}) {
      const int rows = 3;
      const Matrix hidden = random_values(rows * width, 1, element);
      const Matrix weight = random_values(width, 3, element);
      Numbers device_hidden(hidden, element), normed(Matrix(rows * width), element);
      OnGpu<float> device_weight(weight);
      residual_norm({.hidden = device_hidden.get(),
                     .delta = nullptr,
                     .weight = device_weight.get(),
                     .normed = normed.get(),
                     .x = {},
                     .cache_rows = nullptr,
                     .first_column = 0,
                     .rows = rows,
                     .width = width,
                     .eps = 1e-5f},
                    element,
                    nullptr);
      Matrix expected(rows * width);
      kernels().rms_norm(
          hidden.data(), weight.data(), expected.data(), rows, width, 1e-5f, storage_of(element));
      EXPECT_EQ(device_hidden.read(), hidden);
      expect_near(expected, normed.read(), element);
    }
  }
}

TEST_F(CudaRows, SwigluEqualsTheCpus) {
  for (const Element element : kElements) {
    for (const int width : {5, 96, 257, 2056, 12288}) {
      const Matrix gate_up = random_values(3 * 2 * width, 4, element, 2);
      Matrix expected(3 * width);
      kernels().swiglu(gate_up.data(), expected.data(), 3, width, storage_of(element));
      Numbers in(gate_up, element), out(Matrix(3 * width), element);
      swiglu(in.get(), 3, width, out.get(), element, nullptr);
      expect_near(expected, out.read(), element);
    }
  }
}

void expect_rope_scatter(Element element, int dim, bool keep_old) {
  const int heads = 3, rows = 4, width = heads * dim, capacity = 9;
  const std::vector<std::int32_t> positions{0, 5, 11, 2}, cache_rows{7, 0, -1, 3};
  const Matrix cos = random_values(12 * dim / 2, 5, Element::kFloat32);
  const Matrix sin = random_values(12 * dim / 2, 6, Element::kFloat32);
  Matrix qkv = random_values(rows * 3 * width, 7, element);
  const Matrix before = random_values(capacity * width, 8, element);
  Numbers in(qkv, element), q(before, element), k(before, element), v(before, element),
      old_q(Matrix(rows * width), element), old_k(Matrix(rows * width), element);
  OnGpu<float> device_cos(cos), device_sin(sin);
  OnGpu<std::int32_t> device_positions(positions), device_cache_rows(cache_rows);
  rope_scatter({.qkv = in.get(),
                .positions = device_positions.get(),
                .cache_rows = device_cache_rows.get(),
                .cos = device_cos.get(),
                .sin = device_sin.get(),
                .q = {q.get(), width},
                .k = {k.get(), width},
                .v = {v.get(), width},
                .old_q = keep_old ? old_q.get() : nullptr,
                .old_k = keep_old ? old_k.get() : nullptr,
                .rows = rows,
                .heads = heads,
                .head_dim = dim},
               element,
               nullptr);
  kernels().rope(qkv.data(),
                 positions.data(),
                 rows,
                 3 * width,
                 2 * heads,
                 dim,
                 cos.data(),
                 sin.data(),
                 storage_of(element));
  const Matrix caches[3] = {q.read(), k.read(), v.read()};
  const Matrix olds[2] = {old_q.read(), old_k.read()};
  for (int which = 0; which < 3; ++which) {
    Matrix expected = before;
    for (int row = 0; row < rows; ++row) {
      if (cache_rows[row] < 0) continue;
      for (int i = 0; i < width; ++i) {
        expected[cache_rows[row] * width + i] = qkv[(row * 3 + which) * width + i];
        if (which < 2 && keep_old) {
          ASSERT_EQ(olds[which][row * width + i], before[cache_rows[row] * width + i]);
        }
      }
    }
    expect_near(expected, caches[which], element);
  }
}

TEST_F(CudaRows, RopeScatterTurnsWritesAndKeepsWhatWasThere) {
  for (const Element element : kElements) {
    for (const int dim : {6, 8, 64, 128}) {
      for (const bool keep_old : {true, false}) expect_rope_scatter(element, dim, keep_old);
    }
  }
}

TEST_F(CudaRows, RowsAreGatheredAndTheirSumsAdded) {
  for (const Element element : kElements) {
    for (const int width : {10, 700}) {
      const Matrix hidden = random_values(5 * width, 9, element);
      const Matrix delta = random_values(3 * width, 10, Element::kFloat32);
      Numbers from(hidden, element), to(Matrix(4 * width, 1.0f), element);
      OnGpu<float> device_delta(delta);
      OnGpu<std::int32_t> from_rows({4, 0, -1, 0}), delta_rows({2, 1, 0, 0}),
          to_rows({3, 1, 0, -1});  // of the last two nothing is written
      gather_sums({from.get(),
                   device_delta.get(),
                   to.get(),
                   from_rows.get(),
                   delta_rows.get(),
                   to_rows.get(),
                   4,
                   width},
                  element,
                  nullptr);
      const Matrix sums = to.read();
      const auto sum = [&](int row, int add, int i) {
        return as_stored(hidden[row * width + i] + as_stored(delta[add * width + i], element),
                         element);
      };
      for (int i = 0; i < width; ++i) {
        ASSERT_EQ(sums[3 * width + i], sum(4, 2, i));
        ASSERT_EQ(sums[1 * width + i], sum(0, 1, i));
        ASSERT_EQ(sums[0 * width + i], 1.0f);
      }
    }
  }
}

TEST_F(CudaRows, RowsWithoutListsAreGatheredInOrder) {
  for (const Element element : kElements) {
    const int count = 3, width = 300;
    const Matrix hidden = random_values(count * width, 9, element);
    const Matrix delta = random_values(count * width, 10, Element::kFloat32);
    Numbers from(hidden, element), to(Matrix(count * width), element);
    OnGpu<float> device_delta(delta);
    gather_sums({from.get(), device_delta.get(), to.get(), nullptr, nullptr, nullptr, count, width},
                element,
                nullptr);
    const Matrix sums = to.read();
    for (int i = 0; i < count * width; ++i)
      ASSERT_EQ(sums[i], as_stored(hidden[i] + as_stored(delta[i], element), element));
  }
}

TEST_F(CudaRows, TokensOfThisRankAreEmbedded) {
  for (const Element element : kElements) {
    for (const int width : {10, 700}) {
      const Matrix embedding = random_values(5 * width, 9, element);
      Numbers from(embedding, element);
      OnGpu<std::int32_t> tokens({12, 3, 10, 15});  // this rank holds 10 ... 14
      OnGpu<float> embedded(Matrix(4 * width, 5.0f));
      embed(from.get(), tokens.get(), 10, 5, 4, width, embedded.get(), element, nullptr);
      const Matrix rows = embedded.read();
      for (int i = 0; i < width; ++i) {
        ASSERT_EQ(rows[i], embedding[2 * width + i]);
        ASSERT_EQ(rows[width + i], 0.0f);
        ASSERT_EQ(rows[2 * width + i], embedding[i]);
        ASSERT_EQ(rows[3 * width + i], 0.0f);
      }
    }
  }
}

TEST_F(CudaRows, RanksPartsOfRowsAreInterleaved) {
  for (const Element element : kElements) {
    for (const int num_parts : {2, 4}) {
      for (const int width : {10, 700}) {
        const int rows = 3;
        const Matrix parts = random_values(num_parts * rows * width, 9, element);
        Numbers from(parts, element), to(Matrix(num_parts * rows * width), element);
        interleave(from.get(), num_parts, rows, width, to.get(), element, nullptr);
        const Matrix whole = to.read();
        for (int row = 0; row < rows; ++row) {
          for (int i = 0; i < num_parts * width; ++i)
            ASSERT_EQ(whole[row * num_parts * width + i],
                      parts[(i / width * rows + row) * width + i % width]);
        }
      }
    }
  }
}

TEST_F(CudaRows, CacheRowsAreMarkedAndCleared) {
  OnGpu<std::int32_t> map(std::vector<std::int32_t>(6, -1)), cache_rows({5, -1, 2});
  mark_rows(cache_rows.get(), 3, false, map.get(), nullptr);
  EXPECT_EQ(map.read(), (std::vector<std::int32_t>{-1, -1, 2, -1, -1, 0}));
  mark_rows(cache_rows.get(), 3, true, map.get(), nullptr);
  EXPECT_EQ(map.read(), std::vector<std::int32_t>(6, -1));
}

}  // namespace
}  // namespace rubato::cuda::testing
