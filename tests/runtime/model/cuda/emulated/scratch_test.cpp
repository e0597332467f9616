// What memory a model takes of the GPU: the emulation counts.
#include "cache/drift.h"
#include "parallel/local_group.h"
#include "runtime/model/cache_shape.h"
#include "tests/runtime/model/cuda/gpu.h"
#include "tests/runtime/model/cuda/make_cuda_model.h"
#include "tests/support/checkpoint_builder.h"
#include "tests/support/cuda_emulation/device.h"
#include "tests/support/temporary_folder.h"

namespace rubato::cuda::testing {
namespace {

constexpr int kCanvas = 150, kMostSequences = 4, kHeadRows = 100;
constexpr std::int64_t kCacheTokens = kMostSequences * kCanvas;  // more than a bucket has
constexpr int kMostTracked = 8;
constexpr std::int64_t kDriftBytes = drift_bytes_per_pair(/*num_layers=*/2, /*local_heads=*/2) *
                                     kMostSequences * kMostTracked * kCanvas;
constexpr TokenId kScratchMaskId = 62;

/// Makes steps, and says what they take.
class CudaScratch : public ::testing::Test {
 protected:
  /// What all sequences of a step do.
  struct Kind {
    Refresh refresh = Refresh::kFull;
    int rows = 0;  ///< of the reuse pass
    int tracked = 0;
  };

  CudaScratch() {
    write_checkpoint(folder_.path(),
                     rubato::testing::random_model(rubato::testing::small_config(/*n_layers=*/2,
                                                                                 /*d_model=*/32,
                                                                                 /*n_heads=*/2,
                                                                                 /*mlp=*/32,
                                                                                 /*vocab=*/64),
                                                   1));
    const auto checkpoint = Checkpoint::open(folder_.path());
    shape_ = *make_shape(checkpoint->config(), 0, 1, Storage::kBFloat16);
    communicator_ = group_.communicator(0);
    before_ = emulation::device_bytes().now;
    rank_ = std::make_unique<Rank>(
        shape_, *checkpoint, *communicator_, kCacheTokens, /*graphs=*/true, kHeadRows, kDriftBytes);
  }

  void step(int num_sequences, const Kind& kind) {
    const std::vector<TokenId> canvas(kCanvas, 5);
    std::vector<StepSequence> sequences(num_sequences);
    for (int i = 0; i < num_sequences; ++i) {
      StepSequence& s = sequences[i];
      s.slot_begin = std::int64_t{i} * kCanvas;
      s.canvas = canvas;
      s.track = true;
      s.top_logprobs = 1;  // more would take the emulation its time
      s.query.refresh = kind.refresh;
      s.query.num_tracked = kind.tracked;
      for (Position row = 0; row < kind.rows; ++row) s.query.rows.push_back(row);
      const Position eligible = kind.refresh == Refresh::kFull ? kCanvas : kind.rows;
      for (Position row = kind.tracked; row < eligible; ++row) s.query.eligible.push_back(row);
    }
    const std::vector<int> boundaries(num_sequences,
                                      kind.refresh == Refresh::kFull ? 0 : shape_.num_layers);
    rank_->model.reuse_pass(sequences);
    rank_->model.reduce(sequences);
    rank_->model.refresh(sequences, boundaries);
    rank_->model.compute_logits(sequences);
    rank_->model.candidates(sequences, kScratchMaskId);
  }

  /// Of the GPU's memory, besides weights and caches.
  std::int64_t taken() const {
    return emulation::device_bytes().now - before_ - weight_bytes(shape_) -
           cache_shape(shape_, kCacheTokens).bytes_per_token() * kCacheTokens;
  }

  /// What is said of it. (The emulation's matrix products need no workspace.)
  std::int64_t promised() const {
    return CudaModel::scratch_bytes(shape_, {kCacheTokens, kDriftBytes, kHeadRows}) -
           Gemm::kWorkspaceBytes;
  }

 private:
  rubato::testing::TemporaryFolder folder_;
  LocalGroup group_{1};
  std::unique_ptr<Communicator> communicator_;
  ModelShape shape_;
  std::unique_ptr<Rank> rank_;
  std::int64_t before_ = 0;
};

TEST_F(CudaScratch, AllThatIsCountedIsTakenAtTheStartAndStepsTakeNoMore) {
  EXPECT_EQ(taken(), promised());
  emulation::counts() = {};
  for (const int sequences : {1, kMostSequences}) {
    step(sequences, {});
    step(sequences, {.refresh = Refresh::kByDrift, .rows = 40, .tracked = kMostTracked});
    step(sequences, {.refresh = Refresh::kByDrift, .rows = 130, .tracked = kMostTracked});
  }
  EXPECT_EQ(emulation::counts().allocations, 0);
  EXPECT_EQ(taken(), promised());
}

}  // namespace
}  // namespace rubato::cuda::testing
