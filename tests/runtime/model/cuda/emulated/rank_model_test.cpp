// A rank's model as the program gets it, on GPUs.
#include "runtime/model/rank_model.h"

#include <gtest/gtest.h>

#include "runtime/model/cuda/gpu_rank.h"
#include "runtime/model/gpu_share.h"
#include "tests/support/checkpoint_builder.h"
#include "tests/support/cuda_emulation/device.h"
#include "tests/support/temporary_folder.h"

namespace rubato::cuda::testing {
namespace {

constexpr std::int64_t kFreeBytes = 1 << 30;  // as the emulation says

class CudaRankModel : public ::testing::Test {
 protected:
  ~CudaRankModel() override { emulation::see_devices({0}); }

  /// The UUID of the GPU that a rank takes of those that it sees.
  static std::string taken(std::vector<int> seen, int local_rank) {
    emulation::see_devices(std::move(seen));
    return rubato::take_gpu(Device::kCuda, local_rank).uuid;
  }
};

TEST_F(CudaRankModel, RanksThatSeeTheSameGpusTakeOneEach) {
  EXPECT_NE(taken({3, 4}, 0), taken({3, 4}, 1));
  EXPECT_EQ(taken({3, 4}, 0), taken({3, 4}, 2));
}

TEST_F(CudaRankModel, MemoryIsDividedByTheRanksOfAGpu) {
  emulation::see_devices({3});
  const RankGpu gpu = rubato::take_gpu(Device::kCuda, /*local_rank=*/1);
  const std::vector<std::string> alone = {taken({4}, 0), gpu.uuid}, together = {gpu.uuid, gpu.uuid};
  EXPECT_EQ(memory_share(gpu, alone), kFreeBytes);
  EXPECT_EQ(memory_share(gpu, together), kFreeBytes / 2);
}

TEST_F(CudaRankModel, CacheTokensThatFitAreLoadedAndMoreAreRefused) {
  rubato::testing::TemporaryFolder folder;
  write_checkpoint(folder.path(),
                   rubato::testing::random_model(rubato::testing::small_config(), 3));
  const auto checkpoint = Checkpoint::open(folder.path());
  const auto shape = make_shape(checkpoint->config(), 0, 1, Storage::kBFloat16);
  constexpr std::int64_t kDrift = 1 << 20, kFitting = 5 * kTokenStep;
  Placement placement{.device = Device::kCuda, .drift_bytes = kDrift};
  placement.memory_bytes = needed_bytes(*shape, kFitting + kTokenStep, kDrift) - 1;
  placement.cache_tokens = fitting_cache_tokens(*shape, placement, /*most=*/1 << 20);
  EXPECT_EQ(placement.cache_tokens, kFitting);
  EXPECT_TRUE(load_rank_model(*shape, *checkpoint, placement).ok());
  placement.cache_tokens += kTokenStep;
  EXPECT_FALSE(load_rank_model(*shape, *checkpoint, placement).ok());
}

}  // namespace
}  // namespace rubato::cuda::testing
