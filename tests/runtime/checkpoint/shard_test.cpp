#include "runtime/checkpoint/shard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/checkpoint/checkpoint.h"
#include "tests/support/checkpoint_builder.h"
#include "tests/support/temporary_folder.h"

namespace rubato {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::small_config;

TEST(Shard, RanksTogetherTakeEveryValueOnce) {
  const ModelConfig config = small_config();
  for (const int tp_size : {1, 2, 4}) {
    ASSERT_TRUE(check_shardable(config, tp_size).ok());
    for (const TensorId id : all_tensors(config)) {
      const auto shape = tensor_shape(config, id.kind);
      if (shape.size() == 1) continue;
      std::vector<int> owners(static_cast<std::size_t>(shape[0] * shape[1]));
      for (int rank = 0; rank < tp_size; ++rank) {
        const TensorSlice slice = rank_slice(config, id.kind, rank, tp_size);
        for (auto row = slice.rows.begin; row < slice.rows.end; ++row) {
          for (auto col = slice.cols.begin; col < slice.cols.end; ++col) {
            ++owners[static_cast<std::size_t>(row * shape[1] + col)];
          }
        }
      }
      EXPECT_THAT(owners, ::testing::Each(1)) << tensor_name(Naming::kLlada, id);
    }
  }
}

TEST(Shard, SplitsColumnParallelWeightsByRowAndRowParallelOnesByColumn) {
  const ModelConfig config = small_config();  // d_model 32, MLP 48, 64 ids
  using enum TensorKind;
  EXPECT_EQ(rank_slice(config, kQuery, 1, 2), (TensorSlice{{16, 32}, {0, 32}}));
  EXPECT_EQ(rank_slice(config, kUp, 3, 4), (TensorSlice{{36, 48}, {0, 32}}));
  EXPECT_EQ(rank_slice(config, kAttentionOut, 1, 4), (TensorSlice{{0, 32}, {8, 16}}));
  EXPECT_EQ(rank_slice(config, kDown, 1, 2), (TensorSlice{{0, 32}, {24, 48}}));
  EXPECT_EQ(rank_slice(config, kHead, 1, 2), (TensorSlice{{32, 64}, {0, 32}}));
  EXPECT_EQ(rank_slice(config, kMlpNorm, 1, 2), (TensorSlice{{0, 1}, {0, 32}}));
}

TEST(Shard, RefusesSizesThatDoNotDivideWithBothNumbers) {
  struct Case {
    ModelConfig config;
    int tp_size;
    std::string key;
    std::string value;
  };
  ModelConfig odd_rows = small_config();
  odd_rows.embedding_size = 66;
  for (const Case& each : {Case{small_config(), 3, "n_heads", "4"},
                           Case{small_config(2, 32, 4, 50), 4, "mlp_hidden_size", "50"},
                           Case{odd_rows, 4, "embedding_size", "66"}}) {
    const Status shardable = check_shardable(each.config, each.tp_size);

    ASSERT_FALSE(shardable.ok());
    EXPECT_EQ(shardable.error().param, each.key);
    EXPECT_THAT(
        shardable.error().message,
        AllOf(HasSubstr(each.key + " " + each.value), HasSubstr(std::to_string(each.tp_size))));
  }
  EXPECT_THAT(check_shardable(small_config(), 0).error().message, HasSubstr("is 0"));
}

TEST(Shard, CountsTheParametersARankHolds) {
  const ModelConfig config = small_config();
  EXPECT_EQ(parameters_per_rank(config, 1), config.parameter_count());
  const std::int64_t norms = (2 * config.n_layers + 1) * config.d_model;
  EXPECT_EQ(parameters_per_rank(config, 4), (config.parameter_count() - norms) / 4 + norms);
}

TEST(Shard, LoadingOneRankReadsItsOwnPartOnly) {
  const ModelConfig config = small_config();
  testing::TemporaryFolder folder;
  testing::write_checkpoint(folder.path(), testing::random_model(config, 1), {DType::kBFloat16});
  for (const int tp_size : {1, 2, 4}) {
    const auto checkpoint = Checkpoint::open(folder.path());
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
    for (const TensorId id : all_tensors(config)) {
      const TensorSlice slice = rank_slice(config, id.kind, tp_size - 1, tp_size);
      std::vector<float> out(static_cast<std::size_t>(slice.size()));
      copy_slice(checkpoint->tensor(id.kind, id.layer), slice, out.data());
    }
    EXPECT_EQ(checkpoint->bytes_read(), 2 * parameters_per_rank(config, tp_size));
  }
}

}  // namespace
}  // namespace rubato
