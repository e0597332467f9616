#include "tests/runtime/model/cuda/model_pair.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "parallel/cuda/cuda_check.h"

namespace rubato::cuda::testing {
namespace {

constexpr TokenId kMaskId = 62;

/// Calls visit(data, bytes) for each part of a model's caches.
void for_each_cache(Rank& rank, auto&& visit) {
  const CacheShape& shape = rank.cache.shape();
  for (int layer = 0; layer < shape.num_layers; ++layer) {
    for (const CacheLayer& part :
         {rank.cache.x(layer), rank.cache.q(layer), rank.cache.k(layer), rank.cache.v(layer)})
      visit(part.data, shape.capacity * part.width * (shape.bfloat16 ? 2 : 4));
  }
  RUBATO_CUDA(cudaStreamSynchronize(rank.stream.get()));
}

void expect_equal(const Said& a, const Said& b, int step) {
  EXPECT_EQ(a.similarity, b.similarity) << "step " << step;
  EXPECT_EQ(a.mass, b.mass) << "step " << step;
  ASSERT_EQ(a.candidates.size(), b.candidates.size());
  for (std::size_t i = 0; i < a.candidates.size(); ++i) {
    ASSERT_EQ(a.candidates[i].size(), b.candidates[i].size());
    for (std::size_t j = 0; j < a.candidates[i].size(); ++j) {
      EXPECT_EQ(a.candidates[i][j].position, b.candidates[i][j].position);
      EXPECT_EQ(a.candidates[i][j].token, b.candidates[i][j].token);
      EXPECT_EQ(a.candidates[i][j].logprob, b.candidates[i][j].logprob);
    }
  }
}

}  // namespace

std::vector<std::vector<std::byte>> caches_of(Rank& rank) {
  std::vector<std::vector<std::byte>> all;
  for_each_cache(rank, [&](const void* data, std::int64_t size) {
    auto& bytes = all.emplace_back(size);
    RUBATO_CUDA(
        cudaMemcpyAsync(bytes.data(), data, size, cudaMemcpyDeviceToHost, rank.stream.get()));
  });
  return all;
}

ModelPair::ModelPair(const std::filesystem::path& folder,
                     Communicator& communicator,
                     Storage storage,
                     int head_rows,
                     bool batch_invariant) {
  const auto checkpoint = Checkpoint::open(folder);
  auto shape = make_shape(checkpoint->config(), communicator.rank(), communicator.size(), storage);
  shape->batch_invariant = batch_invariant;
  num_layers_ = shape->num_layers;
  const auto make = [&](bool graphs, int rows) {
    return std::make_unique<Rank>(*shape, *checkpoint, communicator, kCacheTokens, graphs, rows);
  };
  with_ = make(true, head_rows);
  without_ = make(false, Head::kRowsAtATime);
}

std::vector<StepSequence> ModelPair::sequences_of(std::span<const int> rows, int step) {
  canvases_.assign(rows.size(), std::vector<TokenId>(kCanvas));
  std::vector<StepSequence> sequences;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (int position = 0; position < kCanvas; ++position)
      canvases_[i][position] = (position * 7 + static_cast<int>(i) * 5 + step * 11) % 60;
    StepSequence s;
    s.slot_begin = static_cast<std::int64_t>(i) * kCanvas;
    s.canvas = canvases_[i];
    s.track = true;
    s.step = step;
    for (int row = 0; row < rows[i]; ++row) s.query.rows.push_back((row * 13 + step) % kCanvas);
    s.query.num_tracked = rows[i] > 2 ? 2 : 0;
    s.query.refresh = s.query.num_tracked > 0 ? Refresh::kByDrift : Refresh::kNone;
    s.query.eligible.assign(s.query.rows.begin() + s.query.num_tracked, s.query.rows.end());
    std::ranges::sort(s.query.eligible);
    sequences.push_back(std::move(s));
  }
  return sequences;
}

Said ModelPair::run(Rank& rank, std::span<const StepSequence> sequences, int boundary) const {
  const std::vector<int> boundaries(sequences.size(), boundary);
  Said said;
  rank.model.reuse_pass(sequences);
  said.similarity = rank.model.reduce(sequences);
  rank.model.refresh(sequences, boundaries);
  rank.model.compute_logits(sequences);
  said.candidates = rank.model.candidates(sequences, kMaskId);
  const bool decides = rank.model.shape().tp_rank == 0;  // what is tracked, and so has the mass
  for (int i = 0; decides && i < std::ssize(sequences); ++i) {
    const auto mass = rank.model.attention_mass(i);
    said.mass.emplace_back(mass.begin(), mass.end());
  }
  return said;
}

void ModelPair::fill_caches() {
  std::vector<StepSequence> sequences =
      sequences_of(std::vector<int>(kMostSequences, 3), /*step=*/0);
  for (StepSequence& s : sequences) s.query.refresh = Refresh::kFull;
  for (Rank* rank : {with_.get(), without_.get()}) {
    for_each_cache(*rank, [&](void* data, std::int64_t size) {
      RUBATO_CUDA(cudaMemsetAsync(data, 0, size, rank->stream.get()));
    });
    run(*rank, sequences, 0);
  }
}

void ModelPair::expect_same(std::span<const int> rows, int step, int boundary) {
  const auto sequences = sequences_of(rows, step);
  const Said a = run(*with_, sequences, boundary), b = run(*without_, sequences, boundary);
  expect_equal(a, b, step);
  EXPECT_EQ(caches_of(*with_), caches_of(*without_)) << "step " << step;
}

void ModelPair::expect_same_alone(std::span<const int> rows, int step, int boundary) {
  const std::vector<StepSequence> sequences = sequences_of(rows, step);
  const Said together = run(*with_, sequences, boundary);
  Said alone;
  for (const StepSequence& sequence : sequences) {
    const Said one = run(*without_, {&sequence, 1}, boundary);
    alone.similarity.push_back(one.similarity.front());
    alone.candidates.push_back(one.candidates.front());
    alone.mass.push_back(one.mass.front());
  }
  expect_equal(together, alone, step);
  EXPECT_EQ(caches_of(*with_), caches_of(*without_)) << "step " << step;
}

}  // namespace rubato::cuda::testing
