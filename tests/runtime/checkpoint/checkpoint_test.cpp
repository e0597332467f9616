#include "runtime/checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/checkpoint_builder.h"
#include "tests/support/temporary_folder.h"

namespace rubato {
namespace {

using testing::CheckpointOptions;
using testing::random_model;
using testing::small_config;
using testing::TemporaryFolder;
using testing::TestModel;
using testing::write_checkpoint;

std::vector<float> read_whole(const TensorView& tensor) {
  std::vector<float> values(static_cast<std::size_t>(tensor.rows * tensor.cols));
  copy_slice(tensor, tensor.whole(), values.data());
  return values;
}

class CheckpointRoundTrip : public ::testing::TestWithParam<CheckpointOptions> {};

TEST_P(CheckpointRoundTrip, ReadsBackEveryTensor) {
  const CheckpointOptions options = GetParam();
  const TestModel model = random_model(small_config(), 7);
  TemporaryFolder folder;
  write_checkpoint(folder.path(), model, options);

  const auto checkpoint = Checkpoint::open(folder.path());

  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  ModelConfig expected_config = model.config;
  expected_config.dtype = options.dtype;
  EXPECT_EQ(checkpoint->config(), expected_config);
  EXPECT_EQ(checkpoint->naming(), options.naming);
  EXPECT_EQ(checkpoint->shards().size(), static_cast<std::size_t>(options.num_shards));
  // Half a unit in the last of float16's 11 or bfloat16's 8 bits.
  const float relative = options.dtype == DType::kFloat32   ? 0
                         : options.dtype == DType::kFloat16 ? 0x1p-11f
                                                            : 0x1p-8f;
  for (const TensorId id : all_tensors(model.config)) {
    const std::vector<float> found = read_whole(checkpoint->tensor(id.kind, id.layer));
    const std::vector<float>& expected = model.at(id.kind, id.layer);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_NEAR(found[i], expected[i], relative * std::abs(expected[i]) + relative * 0x1p-14f)
          << tensor_name(options.naming, id) << " at " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All,
    CheckpointRoundTrip,
    ::testing::Values(CheckpointOptions{DType::kFloat32, Naming::kLlada, 1},
                      CheckpointOptions{DType::kFloat32, Naming::kHuggingFaceLlama, 3},
                      CheckpointOptions{DType::kFloat16, Naming::kLladaBare, 2},
                      CheckpointOptions{DType::kBFloat16, Naming::kLlada, 4},
                      CheckpointOptions{DType::kBFloat16, Naming::kHuggingFaceLlama, 1}));

TEST(Checkpoint, OpensTheEmbeddedModel) {
  const auto folder = std::filesystem::path(RUBATO_SOURCE_DIR) / "models" / "llada-tiny";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not here";

  const auto checkpoint = Checkpoint::open(folder);

  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->config().n_layers, 6);
  EXPECT_EQ(checkpoint->config().dtype, DType::kBFloat16);
  EXPECT_EQ(checkpoint->config().parameter_count(), 5410048);
}

TEST(Checkpoint, FollowsLinksToBlobs) {
  const TestModel model = random_model(small_config(), 7);
  TemporaryFolder blobs;
  TemporaryFolder folder;
  write_checkpoint(blobs.path(), model, {DType::kFloat32, Naming::kLlada, 2});
  for (const auto& file : std::filesystem::directory_iterator(blobs.path())) {
    std::filesystem::create_symlink(file.path(), folder.path() / file.path().filename());
  }

  const auto checkpoint = Checkpoint::open(folder.path());

  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(read_whole(checkpoint->tensor(TensorKind::kDown, 1)), model.at(TensorKind::kDown, 1));
}

}  // namespace
}  // namespace rubato
