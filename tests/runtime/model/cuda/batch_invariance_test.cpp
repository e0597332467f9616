// With `batch_invariant`, a sequence gets the same bits alone and in any batch.
#include <optional>

#include "parallel/local_group.h"
#include "tests/runtime/model/cuda/gpu.h"
#include "tests/runtime/model/cuda/model_pair.h"
#include "tests/support/checkpoint_builder.h"
#include "tests/support/temporary_folder.h"

namespace rubato::cuda::testing {
namespace {

class CudaBatchInvariance : public GpuTest {
 protected:
  void compare(Storage storage, const ModelConfig& config) {
    const rubato::testing::TemporaryFolder folder;
    write_checkpoint(folder.path(), rubato::testing::random_model(config, 3));
    LocalGroup group(1);
    const auto communicator = group.communicator(0);
    ModelPair pair(
        folder.path(), *communicator, storage, Head::kRowsAtATime, /*batch_invariant=*/true);
    pair.fill_caches();
    // Rows of one tile and of several, of one bucket and another; reuse and refreshes.
    pair.expect_same_alone(std::vector{5, 40, 7, 33}, 1, pair.num_layers());
    pair.expect_same_alone(std::vector{90, 3}, 2, pair.num_layers());
    pair.expect_same_alone(std::vector{4, 17, 6}, 3, 1);
    pair.expect_same_alone(std::vector{8, 2}, 4, 0);
  }
};

TEST_F(CudaBatchInvariance, OfFloat32) {
  compare(Storage::kFloat32, rubato::testing::small_config());
}

TEST_F(CudaBatchInvariance, OfBFloat16OnTensorCores) {
  compare(Storage::kBFloat16,
          rubato::testing::small_config(
              /*n_layers=*/2, /*d_model=*/128, /*n_heads=*/2, /*mlp=*/64, /*vocab=*/64));
}

}  // namespace
}  // namespace rubato::cuda::testing
