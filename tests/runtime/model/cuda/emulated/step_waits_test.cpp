// How often a step waits for the GPU and copies from it: the emulation counts.
#include <numeric>
#include <optional>

#include "parallel/local_group.h"
#include "tests/exactness/cases.h"
#include "tests/runtime/model/cuda/gpu.h"
#include "tests/runtime/model/cuda/make_cuda_model.h"
#include "tests/support/cuda_emulation/gpu_ranks.h"
#include "tests/support/temporary_folder.h"

namespace rubato::cuda::testing {
namespace {

constexpr TokenId kMaskId = 62;

/// What all sequences of a step do.
struct StepWork {
  Refresh refresh = Refresh::kNone;
  int boundary = 0;
  bool track = false;
  SamplingParams sampling = {};
  int top_logprobs = -1;
};

/// A rank's model, whose steps are counted.
class CountedModel {
 public:
  CountedModel(const std::filesystem::path& folder, Communicator& communicator) {
    auto checkpoint = Checkpoint::open(folder);
    const auto shape = make_shape(
        checkpoint->config(), communicator.rank(), communicator.size(), Storage::kBFloat16);
    model_ = make_cuda_model()(*shape, *checkpoint, communicator, 1024);
    std::iota(canvas_.begin(), canvas_.end(), 0);
  }

  int num_layers() const { return model_->shape().num_layers; }

  /// Of a step for which all memory has been taken before.
  emulation::Counts counts_of(const StepWork& kind, int num_sequences) const {
    const auto sequences = sequences_of(kind, num_sequences);
    for (int i = 0; i < 2; ++i) step(kind, sequences);  // a graph is recorded in the second
    emulation::counts() = {};
    step(kind, sequences);
    return emulation::counts();
  }

  void expect(const StepWork& kind, int waits, int copies) const {
    for (const int num_sequences : {1, 4}) {
      const emulation::Counts found = counts_of(kind, num_sequences);
      EXPECT_EQ(found.waits, waits) << num_sequences << " sequences";
      EXPECT_EQ(found.copies_to_host, copies) << num_sequences << " sequences";
      EXPECT_EQ(found.allocations, 0) << num_sequences << " sequences";
    }
  }

 private:
  std::vector<StepSequence> sequences_of(const StepWork& kind, int count) const {
    std::vector<StepSequence> sequences;
    for (int i = 0; i < count; ++i) {
      StepSequence s;
      s.slot_begin = i * std::ssize(canvas_);
      s.canvas = canvas_;
      s.query.refresh = kind.refresh;
      s.query.eligible = {20, 21, 30};
      if (kind.refresh != Refresh::kFull) s.query.rows = {3, 20, 21, 30};
      if (kind.refresh == Refresh::kByDrift) s.query.num_tracked = 1;
      s.track = kind.track;
      s.sampling = kind.sampling;
      s.top_logprobs = kind.top_logprobs;
      sequences.push_back(s);
    }
    return sequences;
  }

  void step(const StepWork& kind, std::span<const StepSequence> sequences) const {
    const std::vector<int> boundaries(sequences.size(), kind.boundary);
    model_->reuse_pass(sequences);
    model_->reduce(sequences);
    model_->refresh(sequences, boundaries);
    model_->compute_logits(sequences);
    model_->candidates(sequences, kMaskId);
  }

  std::shared_ptr<Model> model_;
  std::vector<TokenId> canvas_ = std::vector<TokenId>(40);
};

class StepWaits : public ::testing::Test {
 protected:
  StepWaits() {
    write_checkpoint(folder_.path(),
                     rubato::testing::random_model(rubato::testing::small_config(), 1));
    communicator_ = group_.communicator(0);
    model_.emplace(folder_.path(), *communicator_);
  }

  const std::filesystem::path& folder() const { return folder_.path(); }
  int num_layers() const { return model_->num_layers(); }
  emulation::Counts counts_of(const StepWork& kind, int num_sequences) const {
    return model_->counts_of(kind, num_sequences);
  }
  void expect(const StepWork& kind, int waits, int copies) const {
    model_->expect(kind, waits, copies);
  }

 private:
  rubato::testing::TemporaryFolder folder_;
  LocalGroup group_{1};
  std::unique_ptr<Communicator> communicator_;
  std::optional<CountedModel> model_;
};

TEST_F(StepWaits, AStepWaitsOnceForItsNumbers) {
  expect({.refresh = Refresh::kNone, .boundary = num_layers()}, 1, 1);
  expect({.refresh = Refresh::kFull, .boundary = 0}, 1, 1);
}

TEST_F(StepWaits, WhatIsTrackedCopiesItsMassToo) {
  expect({.refresh = Refresh::kNone, .boundary = num_layers(), .track = true}, 1, 2);
  expect({.refresh = Refresh::kFull, .boundary = 0, .track = true}, 1, 2);
}

TEST_F(StepWaits, ADriftTestWaitsOnceMoreWhateverIsRefreshed) {
  for (int boundary = 0; boundary <= num_layers(); ++boundary)
    expect({.refresh = Refresh::kByDrift, .boundary = boundary, .track = true}, 2, 3);
}

TEST_F(StepWaits, OverNcclAStepWaitsAsOftenAsOnOneRank) {
  emulation::run_gpu_ranks(2, emulation::Gpus::kOneEach, [this](Communicator& host) {
    const CountedModel model(folder(), host);
    const int layers = model.num_layers(), mass = host.rank() == 0 ? 1 : 0;
    model.expect({.refresh = Refresh::kNone, .boundary = layers}, 1, 1);
    model.expect({.refresh = Refresh::kFull, .boundary = 0, .track = true}, 1, 1 + mass);
    model.expect({.refresh = Refresh::kByDrift, .boundary = 1, .track = true}, 2, 2 + mass);
  });
}

TEST_F(StepWaits, RowsThatAreSampledOnTheHostComeInOneCopy) {
  expect({.refresh = Refresh::kNone,
          .boundary = num_layers(),
          .sampling = {.temperature = 1, .top_k = 3}},
         1,
         2);
}

TEST_F(StepWaits, LogProbabilitiesComeWithTheNumbers) {
  const StepWork kind{.boundary = num_layers(), .top_logprobs = 20};
  expect(kind, 1, 1);
  EXPECT_EQ(counts_of(kind, 1).bytes_to_host,
            counts_of({.boundary = num_layers()}, 1).bytes_to_host + 3 * 20 * 2 * sizeof(double));
}

TEST_F(StepWaits, TheNumbersOfADecisionAreAFewARow) {
  const int rows = 3, vocabulary = 64, groups = 8;
  const auto picked = counts_of({.boundary = num_layers()}, 1);
  EXPECT_EQ(picked.bytes_to_host, rows * (6 + 2 * groups) * sizeof(double));
  const StepWork on_host{.boundary = num_layers(), .sampling = {.temperature = 1, .top_k = 3}};
  EXPECT_EQ(counts_of(on_host, 1).bytes_to_host,
            picked.bytes_to_host + rows * vocabulary * sizeof(float));
}

}  // namespace
}  // namespace rubato::cuda::testing
