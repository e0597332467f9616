// Attention on the GPU and the sums made of it, against plain sums in doubles.
#include <cmath>

#include "tests/runtime/model/cuda/gpu.h"

namespace rubato::cuda::testing {
namespace {

using Matrix = std::vector<float>;

/// A layer's caches of a sequence of `keys` rows from row `begin` on, and rows that attend.
struct Case {
  int heads, dim, keys, begin;
  std::vector<std::int32_t> queries;  // positions
  Element element;
  Matrix q, k, v;  // [begin + keys, heads * dim]

  Case(int heads, int dim, int keys, int num_queries, Element element, std::uint64_t seed = 1)
      : heads(heads), dim(dim), keys(keys), begin(3), element(element) {
    const std::int64_t size = std::int64_t{begin + keys} * width();
    q = random_values(size, seed, element);
    k = random_values(size, seed + 1, element);
    v = random_values(size, seed + 2, element);
    for (int i = 0; i < num_queries; ++i) queries.push_back((i * 7 + 2) % keys);
  }

  int width() const { return heads * dim; }
  float scale() const { return 1 / std::sqrt(static_cast<float>(dim)); }

  /// Probabilities over the keys, and their log-sum-exp.
  std::vector<double> attention(const Matrix& queries_of,
                                const Matrix& keys_of,
                                int head,
                                int position,
                                double* lse = nullptr) const {
    std::vector<double> p(keys);
    double most = -INFINITY, sum = 0;
    for (int key = 0; key < keys; ++key) {
      double dot = 0;
      for (int i = 0; i < dim; ++i) {
        dot += double{queries_of[(begin + position) * width() + head * dim + i]} *
               keys_of[(begin + key) * width() + head * dim + i];
      }
      p[key] = dot * scale();
      most = std::max(most, p[key]);
    }
    for (double& x : p) sum += std::exp(x - most);
    if (lse != nullptr) *lse = most + std::log(sum);
    for (double& x : p) x = std::exp(x - most) / sum;
    return p;
  }
};

struct Result {
  Matrix out, lse;
};

Result run(const Case& c, int split_keys) {
  const int count = static_cast<int>(c.queries.size());
  const int splits = (c.keys + split_keys - 1) / split_keys;
  std::vector<QueryTile> tiles;
  std::vector<std::int32_t> rows;
  for (int first = 0; first < count; first += kTileQueries) {
    tiles.push_back({first,
                     std::min(kTileQueries, count - first),
                     c.begin,
                     c.keys,
                     splits,
                     split_keys,
                     first * splits});
  }
  tiles.push_back({});  // one that fills a bucket
  for (const std::int32_t position : c.queries) rows.push_back(c.begin + position);
  Numbers q(c.q, c.element), k(c.k, c.element), v(c.v, c.element),
      out(Matrix(count * c.width(), 99.0f), c.element);
  OnGpu<float> lse(Matrix(count * c.heads, 99.0f)),
      partial(Matrix(std::size_t(count) * splits * c.heads * (c.dim + 2)));
  OnGpu<QueryTile> device_tiles(tiles);
  OnGpu<std::int32_t> query_rows(rows);
  attend({.q = {q.get(), c.width()},
          .k = {k.get(), c.width()},
          .v = {v.get(), c.width()},
          .query_rows = query_rows.get(),
          .tiles = device_tiles.get(),
          .num_tiles = static_cast<int>(tiles.size()),
          .most_splits = splits,
          .heads = c.heads,
          .head_dim = c.dim,
          .out = out.get(),
          .lse = lse.get(),
          .partial = partial.get()},
         c.element,
         nullptr);
  return {out.read(), lse.read()};
}

void expect_right(const Case& c, const Result& found) {
  for (std::size_t i = 0; i < c.queries.size(); ++i) {
    for (int head = 0; head < c.heads; ++head) {
      double lse = 0;
      const auto p = c.attention(c.q, c.k, head, c.queries[i], &lse);
      EXPECT_NEAR(found.lse[i * c.heads + head], lse, 1e-4) << "query " << i;
      for (int column = 0; column < c.dim; ++column) {
        double expected = 0;
        for (int key = 0; key < c.keys; ++key)
          expected += p[key] * c.v[(c.begin + key) * c.width() + head * c.dim + column];
        ASSERT_NEAR(found.out[i * c.width() + head * c.dim + column],
                    expected,
                    tolerance(c.element) * (1 + std::abs(expected)))
            << "query " << i << ", head " << head << ", column " << column << ", dim " << c.dim
            << ", keys " << c.keys;
      }
    }
  }
}

class CudaAttention : public GpuTest {};

TEST_F(CudaAttention, EqualsPlainSumsOverAwkwardShapes) {
  for (const Element element : kElements) {
    for (const int dim : {8, 24, 32, 64, 128}) {
      for (const int keys : {1, 7, 33, 150}) {
        for (const int queries : {1, 17, 70}) {
          const Case c(2, dim, keys, queries, element);
          expect_right(c, run(c, keys));
        }
      }
    }
  }
}

TEST_F(CudaAttention, SplitKeysGiveTheSame) {
  for (const Element element : kElements) {
    for (const int dim : {32, 64, 128}) {
      const Case c(3, dim, 300, 19, element);
      expect_right(c, run(c, kSplitKeys));
    }
  }
}

/// Q and K before and after a pass wrote some rows; tracked and window rows among them.
struct SumsCase {
  Case before, after;
  std::vector<std::int32_t> written;  // positions: tracked first, then window
  int tracked, window;

  SumsCase(int heads, int dim, int keys, int num_tracked, int num_window, Element element)
      : before(heads, dim, keys, 1, element, 5),
        after(before),
        tracked(num_tracked),
        window(num_window) {
    const Matrix q = random_values(std::ssize(before.q), 50, element);
    const Matrix k = random_values(std::ssize(before.k), 51, element);
    for (int i = 0; i < tracked + window; ++i) {
      const int position = i * 3 % keys;
      written.push_back(position);
      const auto at = std::int64_t{before.begin + position} * before.width();
      for (int j = 0; j < before.width(); ++j) {
        after.q[at + j] = as_stored(after.q[at + j] + 0.3f * q[at + j], element);
        after.k[at + j] = as_stored(after.k[at + j] + 0.3f * k[at + j], element);
      }
    }
    after.queries = written;
  }
};

/// Mass, then drift sums.
Matrix run_sums(const SumsCase& c, bool rows_measure) {
  const int keys = c.after.keys, heads = c.after.heads, width = c.after.width();
  const int rows = static_cast<int>(c.written.size());
  Matrix old_q, old_k;
  std::vector<std::int32_t> row_of(c.after.begin + keys, -1);
  std::vector<SumRow> list;
  for (int row = 0; row < rows; ++row) {
    const std::int32_t cache_row = c.after.begin + c.written[row];
    row_of[cache_row] = row;
    list.push_back({cache_row, row, row});
    for (int i = 0; i < width; ++i) {
      old_q.push_back(c.before.q[cache_row * width + i]);
      old_k.push_back(c.before.k[cache_row * width + i]);
    }
  }
  SumJob job;
  job.slot_begin = c.after.begin;
  job.num_keys = keys;
  job.window_begin = c.tracked;
  job.num_window = c.window;
  job.num_tracked = c.tracked;
  job.rows_measure = rows_measure ? 1 : 0;
  job.drift = keys;
  job.drift_size = rows_measure ? heads : 3 * c.tracked * keys;
  const Result attention = run(c.after, keys);
  const Element element = c.after.element;
  Numbers q(c.after.q, element), k(c.after.k, element), device_old_q(old_q, element),
      device_old_k(old_k, element);
  OnGpu<std::int32_t> map(row_of);
  OnGpu<SumRow> device_rows(list);
  OnGpu<SumJob> jobs({job});
  OnGpu<float> lse(attention.lse), old_lse(Matrix(c.tracked * heads)),
      sums(Matrix(keys + job.drift_size));
  sum_attention({.q = q.get(),
                 .k = k.get(),
                 .width = width,
                 .layer_stride = 0,
                 .old_q = device_old_q.get(),
                 .old_k = device_old_k.get(),
                 .old_stride = 0,
                 .row_of = map.get(),
                 .lse = lse.get(),
                 .lse_stride = 0,
                 .old_lse = old_lse.get(),
                 .num_tracked_all = c.tracked,
                 .jobs = jobs.get(),
                 .rows = device_rows.get(),
                 .sums = sums.get(),
                 .num_jobs = 1,
                 .most_keys = keys,
                 .most_tracked = c.tracked,
                 .first_layer = 0,
                 .num_layers = 1,
                 .model_layers = 2,
                 .heads = heads,
                 .head_dim = c.after.dim,
                 .any_mass = true,
                 .any_heads = !rows_measure,
                 .any_rows = rows_measure},
                element,
                nullptr);
  return sums.read();
}

class CudaAttentionSums : public GpuTest {};

void expect_sums(const SumsCase& c) {
  const int keys = c.after.keys, heads = c.after.heads;
  std::vector<double> mass(keys), drift(3 * c.tracked * keys), cosines(heads);
  for (int head = 0; head < heads; ++head) {
    for (int i = 0; i < c.tracked; ++i) {
      const auto p = c.before.attention(c.before.q, c.before.k, head, c.written[i]);
      const auto q = c.after.attention(c.after.q, c.after.k, head, c.written[i]);
      double dot = 0, pp = 0, qq = 0;
      for (int key = 0; key < keys; ++key) {
        drift[i * keys + key] += p[key] * q[key];
        drift[(c.tracked + i) * keys + key] += p[key] * p[key];
        drift[(2 * c.tracked + i) * keys + key] += q[key] * q[key];
        dot += p[key] * q[key];
        pp += p[key] * p[key];
        qq += q[key] * q[key];
      }
      cosines[head] += dot / std::sqrt(pp * qq);
    }
    for (int i = c.tracked; i < c.tracked + c.window; ++i) {
      const auto q = c.after.attention(c.after.q, c.after.k, head, c.written[i]);
      for (int key = 0; key < keys; ++key) mass[key] += q[key];
    }
  }
  const Matrix found = run_sums(c, false), by_rows = run_sums(c, true);
  for (int key = 0; key < keys; ++key) {
    ASSERT_NEAR(found[key], mass[key], 1e-4 * (1 + mass[key])) << "key " << key;
    ASSERT_EQ(found[key], by_rows[key]);
  }
  for (std::size_t i = 0; i < drift.size(); ++i)
    ASSERT_NEAR(found[keys + i], drift[i], 1e-4 * (1e-2 + drift[i])) << "sum " << i;
  for (int head = 0; head < heads; ++head)
    ASSERT_NEAR(by_rows[keys + head], cosines[head], 1e-4 * (1 + cosines[head]));
}

TEST_F(CudaAttentionSums, EqualPlainSumsOverAwkwardShapes) {
  for (const Element element : kElements) {
    for (const int dim : {8, 64, 128}) {
      expect_sums({3, dim, 71, 1, 4, element});
      expect_sums({2, dim, 130, 18, 20, element});
      expect_sums({9, dim, 33, 3, 1, element});
    }
  }
}

TEST_F(CudaAttentionSums, SimilarityIsTheMeanOfTheClampedCosines) {
  const int keys = 37, tracked = 2;
  Matrix sums = random_values(3 * tracked * keys, 3, Element::kFloat32, 0.1f);
  double expected = 0;
  for (int i = 0; i < tracked * keys; ++i) {
    float& before = sums[tracked * keys + i];
    float& after = sums[2 * tracked * keys + i];
    before = i % 5 == 0 ? 1e-20f : before * before;
    after = after * after;
    expected +=
        sums[i] / std::sqrt(std::max(double{before}, 1e-16) * std::max(double{after}, 1e-16));
  }
  SumJob job;
  job.num_keys = keys;
  job.num_tracked = tracked;
  job.drift_size = 3 * tracked * keys;
  OnGpu<float> device(sums);
  OnGpu<SumJob> jobs({job});
  OnGpu<double> answer({0.0});
  similarity({jobs.get(), device.get(), 1, 1, 4, answer.get()}, nullptr);
  EXPECT_NEAR(answer.read()[0], expected / (tracked * keys), 1e-9 * std::abs(expected));
}

}  // namespace
}  // namespace rubato::cuda::testing
