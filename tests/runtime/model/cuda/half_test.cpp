// The network in bfloat16, with heads as tensor cores take them, on a GPU against that on the CPU:
// the same up to rounding.
#include <array>
#include <cmath>

#include "parallel/local_group.h"
#include "runtime/model/cache_shape.h"
#include "runtime/model/cpu_model.h"
#include "tests/runtime/model/cuda/gpu.h"
#include "tests/runtime/model/cuda/make_cuda_model.h"
#include "tests/support/checkpoint_builder.h"
#include "tests/support/temporary_folder.h"

namespace rubato::cuda::testing {
namespace {

constexpr int kHalfCanvas = 140;  // more than one split of keys
constexpr TokenId kHalfMaskId = 62;

struct StepAnswer {
  std::vector<double> similarity;
  std::vector<Candidate> candidates;
  std::vector<float> mass;
};

StepAnswer step(Model& model, const StepSequence& sequence, int boundary) {
  const std::span all(&sequence, 1);
  StepAnswer said;
  model.reuse_pass(all);
  said.similarity = model.reduce(all)[0];
  model.refresh(all, std::array{boundary});
  model.compute_logits(all);
  said.candidates = model.candidates(all, kHalfMaskId)[0];
  const auto mass = model.attention_mass(0);
  said.mass.assign(mass.begin(), mass.end());
  return said;
}

void expect_near(const StepAnswer& cpu, const StepAnswer& gpu) {
  ASSERT_EQ(cpu.similarity.size(), gpu.similarity.size());
  for (std::size_t i = 0; i < cpu.similarity.size(); ++i)
    EXPECT_NEAR(cpu.similarity[i], gpu.similarity[i], 0.01) << "layer " << i;
  ASSERT_EQ(cpu.mass.size(), gpu.mass.size());
  double apart = 0, all = 0;
  for (std::size_t i = 0; i < cpu.mass.size(); ++i) {
    apart += std::abs(cpu.mass[i] - gpu.mass[i]);
    all += cpu.mass[i];
  }
  EXPECT_LT(apart, 0.05 * all);
  ASSERT_EQ(cpu.candidates.size(), gpu.candidates.size());
  for (std::size_t i = 0; i < cpu.candidates.size(); ++i) {
    const Candidate &a = cpu.candidates[i], &b = gpu.candidates[i];
    EXPECT_EQ(a.position, b.position);
    EXPECT_NEAR(a.logprob, b.logprob, 0.15) << "candidate " << i;
    // Rounding may decide between two that are nearly as probable.
    ASSERT_EQ(a.top.size(), b.top.size());
    EXPECT_NEAR(a.top[0].logprob, b.top[0].logprob, 0.15);
  }
}

class CudaHalf : public GpuTest, public ::testing::WithParamInterface<int> {};

TEST_P(CudaHalf, HeadsOfTensorCoresGiveTheCpusNumbersUpToRounding) {
  rubato::testing::TemporaryFolder folder;
  write_checkpoint(folder.path(),
                   rubato::testing::random_model(
                       rubato::testing::small_config(
                           /*n_layers=*/3, 2 * GetParam(), /*n_heads=*/2, /*mlp=*/64, /*vocab=*/64),
                       /*seed=*/5,
                       /*projection_std=*/0.1));
  const auto checkpoint = Checkpoint::open(folder.path());
  const ModelShape shape = *make_shape(checkpoint->config(), 0, 1, Storage::kBFloat16);
  LocalGroup group(1);
  const auto communicator = group.communicator(0);
  const ModelWeights weights = load_weights(shape, *checkpoint);
  CacheStore cache(cache_shape(shape, kHalfCanvas));
  CpuModel cpu(shape, weights, cache, *communicator);
  Rank gpu(shape, *checkpoint, *communicator, kHalfCanvas);

  std::vector<TokenId> canvas(kHalfCanvas);
  for (int i = 0; i < kHalfCanvas; ++i) canvas[i] = (7 * i + i / 9) % 60;
  StepSequence full;
  full.canvas = canvas;
  full.track = true;
  full.top_logprobs = 2;
  for (Position p = 100; p < 120; ++p) full.query.eligible.push_back(p);
  expect_near(step(cpu, full, 0), step(gpu.model, full, 0));

  // Other tokens, in some rows; then the same with a refresh from layer 1.
  for (Position p = 20; p < 60; p += 3) canvas[p] = (canvas[p] + 11) % 60;
  for (const int boundary : {shape.num_layers, 1}) {
    StepSequence reuse = full;
    reuse.step = boundary;
    reuse.query = {
        .refresh = Refresh::kByDrift, .rows = {3, 50, 90}, .num_tracked = 3, .eligible = {}};
    for (Position p = 20; p < 40; ++p) reuse.query.rows.push_back(p);
    for (Position p = 100; p < 110; ++p) {
      reuse.query.rows.push_back(p);
      reuse.query.eligible.push_back(p);
    }
    expect_near(step(cpu, reuse, boundary), step(gpu.model, reuse, boundary));
  }
}

INSTANTIATE_TEST_SUITE_P(HeadDim, CudaHalf, ::testing::Values(64, 128));

}  // namespace
}  // namespace rubato::cuda::testing
