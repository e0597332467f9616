// Attention on the GPU and the sums made of it, against plain sums in doubles.
#include <cmath>
#include <string>

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
      split_out(Matrix(std::size_t(count) * splits * c.width())),
      split_stats(Matrix(std::size_t(count) * splits * c.heads * 2));
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
          .split_out = split_out.get(),
          .split_stats = split_stats.get()},
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
        for (const int queries : {1, 17, 40, 70}) {  // how many warps share the keys differs
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
      for (const int queries : {5, 35}) {
        const Case c(3, dim, 300, queries, element);
        for (const int split_keys : {33, 2 * kSplitKeys}) expect_right(c, run(c, split_keys));
      }
    }
  }
}

/// Q and K of a sequence in a layer, before and after a pass wrote some rows; tracked and window
/// rows among them.
struct SumsCase {
  Case before, after;
  std::vector<std::int32_t> written;  // positions: tracked first, then window
  int tracked, window;

  SumsCase(int heads,
           int dim,
           int keys,
           int num_tracked,
           int num_window,
           Element element,
           std::uint64_t seed = 5)
      : before(heads, dim, keys, 1, element, seed),
        after(before),
        tracked(num_tracked),
        window(num_window) {
    const Matrix q = random_values(std::ssize(before.q), seed + 45, element);
    const Matrix k = random_values(std::ssize(before.k), seed + 46, element);
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

  int num_rows() const { return tracked + window; }
  int cache_rows() const { return after.begin + after.keys; }
};

/// A pass, [layer][sequence]: a sequence is of one shape in all layers, and heads are alike in all.
using SumsPass = std::vector<std::vector<SumsCase>>;

struct FoundSums {
  Matrix mass, drift;
};

constexpr float kUnwritten = 99;

void append(Matrix& to, const Matrix& from, std::int64_t begin, std::int64_t count) {
  to.insert(to.end(), from.begin() + begin, from.begin() + begin + count);
}

/// What a pass's kernels read, its sequences' rows one after the other.
struct SumsInput {
  std::vector<SumJob> jobs;
  std::vector<SumRow> rows;
  std::vector<std::int32_t> row_of;
  Matrix q, k, old_q, old_k;  // [layers, cache or pass rows, width]
  Matrix lse;                 // [layers, pass rows, heads]
  int tracked = 0, most_keys = 0, most_tracked = 0;
  std::int64_t size = 0;  // of all sums

  /// by_rows: whether sequence i's drift is by rows.
  template <class ByRows>
  SumsInput(const SumsPass& pass, ByRows&& by_rows) {
    for (std::size_t i = 0; i < pass[0].size(); ++i)
      add_job(pass[0][i], std::ssize(pass), by_rows(i));
    jobs.emplace_back();  // one that fills a bucket
    for (const auto& layer : pass) add_layer(layer);
    // The last layer's rows lie in another order.
    for (SumRow& row : rows) row.last_lse_row = static_cast<int>(rows.size()) - 1 - row.lse_row;
    const int heads = pass[0][0].after.heads;
    const auto last = lse.end() - std::ssize(rows) * heads;
    const Matrix ordered(last, lse.end());
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const auto from = ordered.begin() + static_cast<int>(row) * heads;
      std::copy(from, from + heads, last + rows[row].last_lse_row * heads);
    }
  }

 private:
  void add_job(const SumsCase& c, std::int64_t layers, bool by_rows) {
    SumJob job;
    job.slot_begin = static_cast<int>(row_of.size()) + c.after.begin;
    job.num_keys = c.after.keys;
    job.tracked_begin = static_cast<int>(rows.size());
    job.num_tracked = c.tracked;
    job.tracked_lse = tracked;
    job.window_begin = job.tracked_begin + c.tracked;
    job.num_window = c.window;
    job.rows_measure = by_rows ? 1 : 0;
    job.mass = size;
    job.drift = size + layers * job.num_keys;
    job.drift_size = by_rows ? c.after.heads : 3 * c.tracked * c.after.keys;
    size = job.drift + layers * job.drift_size;
    row_of.resize(row_of.size() + c.cache_rows(), -1);
    for (const std::int32_t position : c.written) {
      const int row = static_cast<int>(rows.size());
      row_of[job.slot_begin + position] = row;
      rows.push_back({job.slot_begin + position, row, row});
    }
    jobs.push_back(job);
    tracked += c.tracked;
    most_keys = std::max(most_keys, job.num_keys);
    most_tracked = std::max(most_tracked, c.tracked);
  }

  void add_layer(const std::vector<SumsCase>& layer) {
    for (const SumsCase& c : layer) {
      const std::int64_t width = c.after.width();
      append(q, c.after.q, 0, std::ssize(c.after.q));
      append(k, c.after.k, 0, std::ssize(c.after.k));
      for (const std::int32_t position : c.written) {
        append(old_q, c.before.q, (c.before.begin + position) * width, width);
        append(old_k, c.before.k, (c.before.begin + position) * width, width);
      }
      const Matrix attention = run(c.after, c.after.keys).lse;
      append(lse, attention, 0, std::ssize(attention));
    }
  }
};

/// [layer][sequence]
std::vector<std::vector<FoundSums>> run_sums(const SumsPass& pass, const SumsInput& input) {
  const Case& any = pass[0][0].after;
  const std::int64_t width = any.width(), layers = std::ssize(pass), rows = std::ssize(input.rows);
  Numbers q(input.q, any.element), k(input.k, any.element), old_q(input.old_q, any.element),
      old_k(input.old_k, any.element);
  OnGpu<std::int32_t> map(input.row_of);
  OnGpu<SumRow> device_rows(input.rows);
  OnGpu<SumJob> jobs(input.jobs);
  OnGpu<float> lse(input.lse), old_lse(Matrix(layers * input.tracked * any.heads)),
      sums(Matrix(input.size, kUnwritten));
  const auto measures = [&](bool rows_measure) {
    return std::ranges::any_of(input.jobs, [&](const SumJob& job) {
      return job.num_tracked > 0 && (job.rows_measure != 0) == rows_measure;
    });
  };
  sum_attention({.q = q.get(),
                 .k = k.get(),
                 .width = width,
                 .layer_stride = std::ssize(input.row_of) * width,
                 .old_q = old_q.get(),
                 .old_k = old_k.get(),
                 .old_stride = rows * width,
                 .row_of = map.get(),
                 .lse = lse.get(),
                 .lse_stride = rows * any.heads,
                 .old_lse = old_lse.get(),
                 .num_tracked_all = input.tracked,
                 .jobs = jobs.get(),
                 .rows = device_rows.get(),
                 .sums = sums.get(),
                 .num_jobs = static_cast<int>(input.jobs.size()),
                 .most_keys = input.most_keys + 40,  // a bucket may say more than there are
                 .most_tracked = input.most_tracked + 16,
                 .first_layer = 0,
                 .num_layers = static_cast<int>(layers),
                 .model_layers = static_cast<int>(layers),
                 .heads = any.heads,
                 .head_dim = any.dim,
                 .any_mass = true,
                 .any_heads = measures(false),
                 .any_rows = measures(true)},
                any.element,
                nullptr);
  const Matrix found = sums.read();
  std::vector<std::vector<FoundSums>> answer(layers);
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    for (const SumJob& job : input.jobs) {
      if (job.num_keys == 0) continue;
      FoundSums& of_job = answer[layer].emplace_back();
      append(of_job.mass, found, job.mass + layer * job.num_keys, job.num_keys);
      append(of_job.drift, found, job.drift + layer * job.drift_size, job.drift_size);
    }
  }
  return answer;
}

bool by_heads(std::size_t) {
  return false;
}

void expect_mass(const SumsCase& c, const Matrix& found) {
  std::vector<double> mass(c.after.keys);
  for (int head = 0; head < c.after.heads; ++head) {
    for (int i = c.tracked; i < c.num_rows(); ++i) {
      const auto q = c.after.attention(c.after.q, c.after.k, head, c.written[i]);
      for (int key = 0; key < c.after.keys; ++key) mass[key] += q[key];
    }
  }
  for (int key = 0; key < c.after.keys; ++key)
    ASSERT_NEAR(found[key], mass[key], 1e-4 * (1 + mass[key])) << "key " << key;
}

void expect_heads_drift(const SumsCase& c, const Matrix& found) {
  const int keys = c.after.keys;
  std::vector<double> drift(3 * c.tracked * keys);
  for (int head = 0; head < c.after.heads; ++head) {
    for (int i = 0; i < c.tracked; ++i) {
      const auto p = c.before.attention(c.before.q, c.before.k, head, c.written[i]);
      const auto q = c.after.attention(c.after.q, c.after.k, head, c.written[i]);
      for (int key = 0; key < keys; ++key) {
        drift[i * keys + key] += p[key] * q[key];
        drift[(c.tracked + i) * keys + key] += p[key] * p[key];
        drift[(2 * c.tracked + i) * keys + key] += q[key] * q[key];
      }
    }
  }
  for (std::size_t i = 0; i < drift.size(); ++i)
    ASSERT_NEAR(found[i], drift[i], 1e-4 * (1e-2 + drift[i])) << "sum " << i;
}

void expect_rows_drift(const SumsCase& c, const Matrix& found) {
  for (int head = 0; head < c.after.heads; ++head) {
    double cosines = 0;
    for (int i = 0; i < c.tracked; ++i) {
      const auto p = c.before.attention(c.before.q, c.before.k, head, c.written[i]);
      const auto q = c.after.attention(c.after.q, c.after.k, head, c.written[i]);
      double dot = 0, pp = 0, qq = 0;
      for (int key = 0; key < c.after.keys; ++key) {
        dot += p[key] * q[key];
        pp += p[key] * p[key];
        qq += q[key] * q[key];
      }
      cosines += dot / std::sqrt(pp * qq);
    }
    ASSERT_NEAR(found[head], cosines, 1e-4 * (1 + cosines)) << "head " << head;
  }
}

class CudaAttentionSums : public GpuTest {};

/// Every sum of a pass, under both measures of drift.
void expect_sums(const SumsPass& pass) {
  const auto odd = run_sums(pass, {pass, [](std::size_t i) { return i % 2 == 1; }});
  const auto even = run_sums(pass, {pass, [](std::size_t i) { return i % 2 == 0; }});
  for (std::size_t layer = 0; layer < pass.size(); ++layer) {
    for (std::size_t i = 0; i < pass[layer].size(); ++i) {
      SCOPED_TRACE("layer " + std::to_string(layer) + ", sequence " + std::to_string(i));
      const SumsCase& c = pass[layer][i];
      const FoundSums &a = odd[layer][i], &b = even[layer][i];
      if (c.window > 0) expect_mass(c, a.mass);
      ASSERT_EQ(a.mass, b.mass);
      if (c.tracked == 0) continue;
      expect_heads_drift(c, (i % 2 == 1 ? b : a).drift);
      expect_rows_drift(c, (i % 2 == 1 ? a : b).drift);
    }
  }
}

TEST_F(CudaAttentionSums, EqualPlainSumsOverAwkwardShapes) {
  for (const Element element : kElements) {
    for (const int dim : {8, 64, 128}) {
      expect_sums({{{3, dim, 71, 1, 4, element}}});
      expect_sums({{{2, dim, 130, 18, 20, element}}});
      expect_sums({{{9, dim, 33, 3, 1, element}}});
    }
  }
}

TEST_F(CudaAttentionSums, SeveralSequencesAndLayersDoNotMixUp) {
  for (const Element element : kElements) {
    for (const int dim : {8, 64}) {
      SumsPass pass;
      for (std::uint64_t layer = 0; layer < 3; ++layer) {
        pass.push_back({{2, dim, 40, 2, 3, element, 100 + layer},
                        {2, dim, 97, 17, 18, element, 200 + layer},
                        {2, dim, 5, 1, 0, element, 300 + layer},
                        {2, dim, 66, 0, 2, element, 400 + layer}});
      }
      expect_sums(pass);
    }
  }
}

TEST_F(CudaAttentionSums, LayersBelowASequencesFirstKeepTheirMass) {
  SumsPass pass;
  for (std::uint64_t layer = 0; layer < 2; ++layer) {
    pass.push_back({{2, 8, 40, 0, 3, Element::kFloat32, 100 + layer},
                    {2, 8, 21, 0, 2, Element::kFloat32, 200 + layer}});
  }
  SumsInput input(pass, by_heads);
  input.jobs[0].first_layer = 1;
  const auto found = run_sums(pass, input);
  EXPECT_EQ(found[0][0].mass, Matrix(40, kUnwritten));
  expect_mass(pass[0][1], found[0][1].mass);
  expect_mass(pass[1][0], found[1][0].mass);
}

TEST_F(CudaAttentionSums, AStepMayHaveMoreTilesThanAGridIsHigh) {
  const SumsPass pass{{{1, 8, 20, 2, 3, Element::kFloat32}}};
  SumsInput input(pass, by_heads);
  input.jobs.insert(input.jobs.begin(), 4095, SumJob{});
  input.most_tracked = 256;
  const FoundSums found = run_sums(pass, input)[0][0];
  expect_mass(pass[0][0], found.mass);
  expect_heads_drift(pass[0][0], found.drift);
}

TEST_F(CudaAttentionSums, SimilarityIsTheMeanOfTheClampedCosines) {
  // [layer][sequence]: three sums a pair, or what the heads' cosines add up to; or nothing.
  const int layers = 2, keys = 997, tracked = 5, all_heads = 8, local_heads = 4;
  std::vector<SumJob> jobs(3);
  jobs[0].num_keys = jobs[2].num_keys = keys;
  jobs[0].num_tracked = jobs[2].num_tracked = tracked;
  jobs[0].drift_size = 3 * tracked * keys;
  jobs[2].drift = layers * jobs[0].drift_size;
  jobs[2].drift_size = local_heads;
  jobs[2].rows_measure = 1;
  Matrix sums = random_values(jobs[2].drift + layers * local_heads, 3, Element::kFloat32, 0.1f);
  std::vector<double> expected(jobs.size() * layers);
  for (int layer = 0; layer < layers; ++layer) {
    float* drift = sums.data() + layer * jobs[0].drift_size;
    for (int i = 0; i < tracked * keys; ++i) {
      float &before = drift[tracked * keys + i], &after = drift[2 * tracked * keys + i];
      drift[i] = std::abs(drift[i]);
      before = i % 5 == 0 ? 1e-20f : before * before;
      after = after * after;
      expected[layer] +=
          drift[i] / (tracked * keys) /
          std::sqrt(std::max(double{before}, 1e-16) * std::max(double{after}, 1e-16));
    }
    const float* cosines = sums.data() + jobs[2].drift + layer * local_heads;
    for (int head = 0; head < local_heads; ++head)
      expected[2 * layers + layer] += double{cosines[head]} / (all_heads * tracked);
  }
  OnGpu<float> device(sums);
  OnGpu<SumJob> device_jobs(jobs);
  OnGpu<double> answer(std::vector<double>(jobs.size() * layers, 99.0));
  similarity({device_jobs.get(), device.get(), 3, layers, all_heads, answer.get()}, nullptr);
  const std::vector<double> found = answer.read();
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], 1e-6 * std::abs(expected[i])) << i;
}

}  // namespace
}  // namespace rubato::cuda::testing
