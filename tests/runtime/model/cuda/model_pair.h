#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "tests/runtime/model/cuda/make_cuda_model.h"

namespace rubato::cuda::testing {

/// What a step says.
struct Said {
  std::vector<std::vector<double>> similarity;
  std::vector<std::vector<Candidate>> candidates;
  std::vector<std::vector<float>> mass;
};

/// Two models of a rank with the same weights, of which one uses graphs, or which differ otherwise.
/// Each rank of a group has a pair and makes the same calls.
class ModelPair {
 public:
  static constexpr int kCanvas = 150, kMostSequences = 4;
  static constexpr std::int64_t kCacheTokens = kMostSequences * kCanvas + 50;

  /// folder: of the checkpoint. head_rows: of the one with graphs. batch_invariant: both.
  ModelPair(const std::filesystem::path& folder,
            Communicator& communicator,
            Storage storage,
            int head_rows = Head::kRowsAtATime,
            bool batch_invariant = false);

  Rank& with() { return *with_; }
  Rank& without() { return *without_; }
  int num_layers() const { return num_layers_; }

  /// Of `rows` rows each, whose contents differ from step to step; until the next call.
  std::vector<StepSequence> sequences_of(std::span<const int> rows, int step);

  Said run(Rank& rank, std::span<const StepSequence> sequences, int boundary) const;

  /// A full step of all sequences, on caches of zeros.
  void fill_caches();

  /// A step on both: what they say, and their caches, are to be the same bit for bit.
  void expect_same(std::span<const int> rows, int step, int boundary);

  /// The same of a step of all sequences at once on one, and of one after the other on the other.
  void expect_same_alone(std::span<const int> rows, int step, int boundary);

 private:
  std::unique_ptr<Rank> with_, without_;
  int num_layers_ = 0;
  std::vector<std::vector<TokenId>> canvases_;
};

/// The parts of a model's caches.
std::vector<std::vector<std::byte>> caches_of(Rank& rank);

}  // namespace rubato::cuda::testing
