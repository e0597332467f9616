// Graphs of passes with NCCL's sums in them, on several ranks.
#include "tests/runtime/model/cuda/gpu.h"
#include "tests/runtime/model/cuda/model_pair.h"
#include "tests/support/checkpoint_builder.h"
#include "tests/support/cuda_emulation/gpu_ranks.h"
#include "tests/support/temporary_folder.h"

namespace rubato::cuda::testing {
namespace {

using emulation::Gpus;

class CudaNcclGraphs : public ::testing::Test {
 protected:
  CudaNcclGraphs() {
    write_checkpoint(folder_.path(),
                     rubato::testing::random_model(rubato::testing::small_config(), 3));
  }

  /// On a pair of models of each of two ranks, with caches.
  void run(Gpus gpus, const std::function<void(ModelPair&, Communicator&)>& body) const {
    emulation::run_gpu_ranks(2, gpus, [&](Communicator& host) {
      ModelPair pair(folder_.path(), host, Storage::kBFloat16);
      pair.fill_caches();
      body(pair, host);
    });
  }

 private:
  rubato::testing::TemporaryFolder folder_;
};

TEST_F(CudaNcclGraphs, GiveTheBitsOfWhatIsEnqueued) {
  run(Gpus::kOneEach, [](ModelPair& pair, Communicator&) {
    int step = 1;
    for (const auto& rows : std::vector<std::vector<int>>{{5, 7}, {5, 7}, {6, 6}, {3, 3}, {9, 4}}) {
      pair.expect_same(rows, step, step % 3 == 0 ? 1 : pair.num_layers());
      ++step;
    }
    EXPECT_GE(pair.with().model.graphs()->num_replayed(), 3);
  });
}

TEST_F(CudaNcclGraphs, AreUsedByNoRankWhereOneCannotRecord) {
  run(Gpus::kOneEach, [](ModelPair& pair, Communicator& host) {
    if (host.rank() == 1) emulation::fail_captured_call(3);
    for (int step = 1; step <= 3; ++step)
      pair.expect_same(std::vector{5, 7}, step, pair.num_layers());
    EXPECT_EQ(pair.with().model.graphs()->num_recorded(), 0);
    EXPECT_EQ(pair.with().model.graphs()->num_replayed(), 0);
  });
}

TEST_F(CudaNcclGraphs, AreNotUsedWhereSumsGoThroughTheHost) {
  run(Gpus::kOneForAll,
      [](ModelPair& pair, Communicator&) { EXPECT_EQ(pair.with().model.graphs(), nullptr); });
}

}  // namespace
}  // namespace rubato::cuda::testing
