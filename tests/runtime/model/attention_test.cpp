#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <numeric>

#include "runtime/base/concat.h"
#include "runtime/model/kernels/kernels.h"

namespace rubato {
namespace {

/// One head over a canvas, its caches filled at random, and rows to write at some positions.
struct Head {
  Head(std::int64_t length, std::int64_t dim, at::ScalarType type)
      : q(at::randn({length, 2 * dim}).to(type)),  // two heads a row: the strides differ
        k(at::randn({length, 2 * dim}).to(type)),
        v(at::randn({length, 2 * dim}).to(type)),
        dim(dim),
        length(length) {}

  void write_at(std::vector<std::int32_t> positions) {
    written = std::move(positions);
    const auto count = static_cast<std::int64_t>(written.size());
    // Values that bfloat16 holds exactly, so that the caches hold what was written.
    q_new = at::randn({count, dim}).to(at::kBFloat16).to(at::kFloat);
    k_new = at::randn({count, dim}).to(at::kBFloat16).to(at::kFloat);
    v_new = at::randn({count, dim}).to(at::kBFloat16).to(at::kFloat);
  }

  void attend_from(std::vector<std::int32_t> positions, int tracked) {
    queries = std::move(positions);
    const auto count = static_cast<std::int64_t>(queries.size());
    num_tracked = tracked;
    window.assign(queries.begin() + tracked, queries.end());
    out = at::zeros({count, dim});
    mass = at::full({length}, -1.0);
    p_old = at::zeros({tracked, length});
    p_new = at::zeros({tracked, length});
    scratch = at::empty({attention_scratch_size(static_cast<int>(length), static_cast<int>(dim))});
  }

  void run(const Kernels& kernels) {
    HeadTask task;
    task.q_cache = q.data_ptr();
    task.k_cache = k.data_ptr();
    task.v_cache = v.data_ptr();
    task.cache_stride = 2 * dim;
    task.storage = q.scalar_type() == at::kFloat ? Storage::kFloat32 : Storage::kBFloat16;
    task.canvas_length = static_cast<int>(length);
    task.head_dim = static_cast<int>(dim);
    task.scale = 0.25f;
    task.q_new = q_new.data_ptr<float>();
    task.k_new = k_new.data_ptr<float>();
    task.v_new = v_new.data_ptr<float>();
    task.new_stride = dim;
    task.written = written.data();
    task.num_written = static_cast<int>(written.size());
    task.queries = queries.data();
    task.num_queries = static_cast<int>(queries.size());
    task.out = out.data_ptr<float>();
    task.out_stride = dim;
    task.window = window.data();
    task.num_window = static_cast<int>(window.size());
    task.mass = mass.data_ptr<float>();
    task.num_tracked = num_tracked;
    task.p_old = p_old.data_ptr<float>();
    task.p_new = p_new.data_ptr<float>();
    task.scratch = scratch.data_ptr<float>();
    kernels.attend(task);
  }

  /// The attention of `queries` over the caches as they stand, [queries, length].
  at::Tensor probabilities() const {
    const at::Tensor rows = at::tensor(std::vector<std::int64_t>(queries.begin(), queries.end()));
    const at::Tensor scores = at::matmul(own(q).index_select(0, rows), own(k).t());
    return at::softmax(scores * 0.25, 1);
  }

  at::Tensor own(const at::Tensor& cache) const { return cache.slice(1, 0, dim).to(at::kFloat); }

  at::Tensor q, k, v, q_new, k_new, v_new, out, mass, p_old, p_new, scratch;
  std::vector<std::int32_t> written, queries, window;
  std::int64_t dim, length;
  int num_tracked = 0;
};

class AttentionOf : public testing::TestWithParam<const Kernels*> {
 protected:
  void SetUp() override { at::manual_seed(11); }
};

INSTANTIATE_TEST_SUITE_P(,
                         AttentionOf,
                         testing::ValuesIn(available_kernels()),
                         [](const auto& test) { return std::string(test.param->name); });

bool close(const at::Tensor& found, const at::Tensor& expected) {
  return at::allclose(found, expected, 1e-4, 1e-6);
}

TEST_P(AttentionOf, WritesItsRowsAndAttendsToAllKeys) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const std::int64_t length : {5, 32, 33, 100}) {
      for (const std::int64_t dim : {8, 32, 40}) {
        Head head(length, dim, type);
        const at::Tensor other = head.k.slice(1, dim).clone();
        head.write_at({4, 1});
        head.attend_from({0, 1, 4}, 0);
        head.run(*GetParam());
        const std::string where = concat(length, " keys of ", dim);
        EXPECT_TRUE(head.own(head.k)[4].equal(head.k_new[0])) << where;
        EXPECT_TRUE(head.own(head.q)[1].equal(head.q_new[1])) << where;
        EXPECT_TRUE(head.k.slice(1, dim).equal(other)) << where << ": the other head's columns";
        EXPECT_TRUE(close(head.out, at::matmul(head.probabilities(), head.own(head.v)))) << where;
      }
    }
  }
}

TEST_P(AttentionOf, ReportsTheTrackedRowsBeforeAndAfterTheWrite) {
  Head head(70, 16, at::kFloat);
  head.write_at({3, 40, 7, 69});
  head.attend_from({3, 40, 7, 69}, 2);
  const at::Tensor before = head.probabilities();
  head.run(*GetParam());
  EXPECT_TRUE(close(head.p_old, before.slice(0, 0, 2)));
  EXPECT_TRUE(close(head.p_new, head.probabilities().slice(0, 0, 2)));
}

TEST_P(AttentionOf, SumsTheWindowRowsMassPerKey) {
  Head head(45, 16, at::kFloat);
  head.write_at({3, 40});
  head.attend_from({3, 40, 20, 21}, 2);
  head.run(*GetParam());
  EXPECT_TRUE(close(head.mass, head.probabilities().slice(0, 2).sum(0)));
}

TEST_P(AttentionOf, TakesAnyNumberOfTrackedAndWindowRows) {
  for (const int tracked : {1, 15, 16, 17, 33}) {
    Head head(75, 32, at::kFloat);
    std::vector<std::int32_t> rows(tracked + 20);
    std::iota(rows.begin(), rows.end(), 3);
    head.write_at(rows);
    head.attend_from(rows, tracked);
    const at::Tensor before = head.probabilities();
    head.run(*GetParam());
    const at::Tensor after = head.probabilities();
    EXPECT_TRUE(close(head.p_old, before.slice(0, 0, tracked))) << tracked << " tracked";
    EXPECT_TRUE(close(head.p_new, after.slice(0, 0, tracked))) << tracked << " tracked";
    EXPECT_TRUE(close(head.mass, after.slice(0, tracked).sum(0))) << tracked << " tracked";
    EXPECT_TRUE(close(head.out, at::matmul(after, head.own(head.v)))) << tracked << " tracked";
  }
}

TEST_P(AttentionOf, GivesAQueryTheSameBitsAloneAndAmongOthers) {
  Head head(61, 24, at::kFloat);
  std::vector<std::int32_t> all(61);
  std::iota(all.begin(), all.end(), 0);
  head.write_at({});
  head.attend_from(all, 0);
  head.run(*GetParam());
  const at::Tensor together = head.out;
  for (const std::int32_t query : all) {
    head.attend_from({query}, 0);
    head.run(*GetParam());
    EXPECT_TRUE(head.out[0].equal(together[query])) << "query " << query;
  }
}

}  // namespace
}  // namespace rubato
