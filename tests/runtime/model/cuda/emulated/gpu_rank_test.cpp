// A rank's model from its checkpoint to its first step, as the program makes it.
#include "runtime/model/cuda/gpu_rank.h"

#include <gmock/gmock.h>

#include "runtime/model/cache_shape.h"
#include "runtime/model/cuda/cuda_model.h"
#include "tests/runtime/model/cuda/gpu.h"
#include "tests/support/checkpoint_builder.h"
#include "tests/support/cuda_emulation/gpu_ranks.h"
#include "tests/support/temporary_folder.h"

namespace rubato::cuda::testing {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kTokens = 4096, kDrift = 1 << 20;
constexpr std::int64_t kForLibraries = 512 << 20;  // as docs/gpu.md says

class CudaGpuRank : public ::testing::Test {
 protected:
  CudaGpuRank() {
    write_checkpoint(folder_.path(),
                     rubato::testing::random_model(rubato::testing::small_config(), 3));
  }

  Result<std::unique_ptr<GpuRank>> load(std::int64_t memory_bytes) const {
    const auto checkpoint = Checkpoint::open(folder_.path());
    return GpuRank::load(
        shape(),
        *checkpoint,
        {.gpu = 0, .memory_bytes = memory_bytes, .cache_tokens = kTokens, .drift_bytes = kDrift});
  }

  ModelShape shape() const {
    const auto checkpoint = Checkpoint::open(folder_.path());
    return *make_shape(checkpoint->config(), 0, 1, Storage::kBFloat16);
  }

  std::int64_t needed() const {
    return weight_bytes(shape()) + cache_shape(shape(), kTokens).bytes_per_token() * kTokens +
           CudaModel::scratch_bytes(shape(), {kTokens, kDrift}) + kForLibraries;
  }

 private:
  rubato::testing::TemporaryFolder folder_;
};

TEST_F(CudaGpuRank, WhatFitsIsLoadedAndDescribed) {
  const auto rank = load(needed());
  ASSERT_TRUE(rank.ok()) << rank.error().message;
  EXPECT_THAT((*rank)->description(), HasSubstr("GPU 0, Emulated GPU: "));
  EXPECT_THAT((*rank)->description(), HasSubstr("GiB of caches for 4096 tokens"));
}

TEST_F(CudaGpuRank, WhatDoesNotFitIsRefusedWithTheNumbers) {
  const std::int64_t taken = emulation::device_bytes().now;
  const auto rank = load(needed() - 1);
  ASSERT_FALSE(rank.ok());
  EXPECT_EQ(rank.error().code, Code::kInvalidArgument);
  const auto gib = [](std::int64_t bytes) {
    return concat(static_cast<double>(bytes) / (1 << 30), " GiB ");
  };
  const std::string& said = rank.error().message;
  EXPECT_THAT(said, HasSubstr("GPU 0 (Emulated GPU) has " + gib(needed() - 1) + "free"));
  EXPECT_THAT(said, HasSubstr(gib(weight_bytes(shape())) + "of weights"));
  EXPECT_THAT(said, HasSubstr("of caches for 4096 tokens"));
  EXPECT_THAT(said, HasSubstr("lower engine.cache_tokens or engine.max_drift_mib"));
  EXPECT_EQ(emulation::device_bytes().now, taken);
}

TEST_F(CudaGpuRank, WhatIsNeededIsWhatLoadingCounts) {
  EXPECT_EQ(needed_bytes(shape(), kTokens, kDrift), needed());
  EXPECT_GT(needed_bytes(shape(), kTokens + 1, kDrift), needed());
}

TEST_F(CudaGpuRank, MemoryThatIsNotFreeAfterAllIsAnError) {
  emulation::limit_allocations(1000);
  const auto rank = load(needed());
  emulation::limit_allocations(0);
  ASSERT_FALSE(rank.ok());
  EXPECT_EQ(rank.error().code, Code::kUnavailable);
  EXPECT_THAT(rank.error().message, HasSubstr("GPU 0: "));
  EXPECT_THAT(rank.error().message, HasSubstr("cannot be had"));
}

TEST_F(CudaGpuRank, SoItIsWhenTheModelStarts) {
  const auto rank = load(needed());
  ASSERT_TRUE(rank.ok());
  SingleCommunicator alone;
  emulation::limit_allocations(1000);
  const Result<Model*> failed = (*rank)->start(alone, StepDeadlines{}, /*graphs=*/true);
  emulation::limit_allocations(0);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, Code::kUnavailable);
  EXPECT_TRUE((*rank)->start(alone, StepDeadlines{}, /*graphs=*/true).ok());
}

TEST_F(CudaGpuRank, AGpuIsKnownByItsUuidWhateverNumberAProcessGivesIt) {
  emulation::see_devices({5, 6});
  const std::string first = take_gpu(0), second = take_gpu(1);
  emulation::see_devices({6});
  EXPECT_EQ(take_gpu(0), second);
  EXPECT_NE(first, second);
  EXPECT_EQ(second.size(), 32U);
  emulation::see_devices({0});
}

}  // namespace
}  // namespace rubato::cuda::testing
