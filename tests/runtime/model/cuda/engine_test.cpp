// The engine on a GPU against the engine on the CPU, in float32: the same tokens, boundaries and
// tracked sets, up to ties that rounding decides.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <iostream>

#include "tests/exactness/cases.h"
#include "tests/runtime/model/cuda/gpu.h"
#include "tests/runtime/model/cuda/make_cuda_model.h"
#include "tests/support/temporary_folder.h"

namespace rubato::cuda::testing {
namespace {

using rubato::testing::Generated;
using rubato::testing::LocalEngine;

#ifdef RUBATO_CUDA_EMULATED
constexpr int kRequests = 2;  // of each world: threads of the emulation take their time
#else
constexpr int kRequests = 48;
#endif

::testing::AssertionResult same_logprobs(const std::vector<CommitLogprobs>& a,
                                         const std::vector<CommitLogprobs>& b) {
  if (a.size() != b.size()) return ::testing::AssertionFailure() << "the number of logprobs";
  const auto near = [](double x, double y) { return std::abs(x - y) <= 1e-3 * (1 + std::abs(x)); };
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!near(a[i].logprob, b[i].logprob) || a[i].top.size() != b[i].top.size())
      return ::testing::AssertionFailure() << "the logprob of commit " << i;
    for (std::size_t j = 0; j < a[i].top.size(); ++j) {
      if (a[i].top[j].token != b[i].top[j].token || !near(a[i].top[j].logprob, b[i].top[j].logprob))
        return ::testing::AssertionFailure() << "the top logprobs of commit " << i;
    }
  }
  return ::testing::AssertionSuccess();
}

/// Whether two answers are the same as far as they say: step by step.
::testing::AssertionResult same(const Generated& a, const Generated& b) {
  for (std::size_t step = 0; step < std::min(a.trace.size(), b.trace.size()); ++step) {
    const auto &x = a.trace[step], &y = b.trace[step];
    if (x.similarity.size() == y.similarity.size()) {
      for (std::size_t layer = 0; layer < x.similarity.size(); ++layer) {
        if (std::abs(x.similarity[layer] - y.similarity[layer]) > 1e-4) {
          return ::testing::AssertionFailure()
                 << "similarity of step " << step << ", layer " << layer << ": "
                 << x.similarity[layer] << " and " << y.similarity[layer];
        }
      }
    }
    if (x.boundary != y.boundary)
      return ::testing::AssertionFailure() << "boundary of step " << step;
    if (x.tracked != y.tracked)
      return ::testing::AssertionFailure() << "tracked set of step " << step;
    if (x.committed != y.committed)
      return ::testing::AssertionFailure() << "commits of step " << step;
  }
  if (a.canvas != b.canvas) return ::testing::AssertionFailure() << "the canvas";
  return same_logprobs(a.logprobs, b.logprobs);
}

/// How an engine is made over a checkpoint.
using MakeEngine = std::function<std::unique_ptr<LocalEngine>(const std::filesystem::path&)>;

MakeEngine engine_of(int tp, rubato::testing::MakeModel make_model, bool float8 = false) {
  return [=](const std::filesystem::path& folder) {
    return std::make_unique<LocalEngine>(
        folder, tp, Storage::kFloat32, rubato::testing::kFewFullRows, make_model, float8);
  };
}

class CudaEngine : public GpuTest {
 protected:
  /// All worlds' requests, or the first `num_worlds`', alone and in one batch.
  void compare(const MakeEngine& one, const MakeEngine& other, std::size_t num_worlds = 100) {
    int different = 0, all = 0;
    std::vector<rubato::testing::World> worlds = rubato::testing::worlds();
    worlds.resize(std::min(worlds.size(), num_worlds));
    for (const rubato::testing::World& world : worlds) {
      rubato::testing::TemporaryFolder folder;
      write_checkpoint(folder.path(), world.model);
      std::vector<GenerationRequest> requests(world.requests.begin(),
                                              world.requests.begin() + kRequests);
      for (GenerationRequest& request : requests) request.top_logprobs = 3;
      const std::vector<Generated> expected = one(folder.path())->generate(requests),
                                   found = other(folder.path())->generate(requests);
      for (std::size_t i = 0; i < requests.size(); ++i, ++all) {
        const auto result = same(expected[i], found[i]);
        if (result) continue;
        ++different;
        std::cout << world.name << ", request " << i << " (" << requests[i].policy.policy->name
                  << "): " << result.message() << "\n";
      }
    }
    // Rounding may decide a tie otherwise, but seldom.
    EXPECT_LE(different * 50, all);
  }
};

TEST_F(CudaEngine, GivesTheCpusTokensBoundariesAndTrackedSets) {
  compare(engine_of(1, {}), engine_of(1, make_cuda_model()));
}

TEST_F(CudaEngine, GivesTheCpusAnswersAtTensorParallelSize2) {
  compare(engine_of(2, {}), engine_of(2, make_cuda_model()));
}

TEST_F(CudaEngine, GivesTheCpusAnswersWithFloat8WeightsAtTensorParallelSize2) {
  compare(engine_of(2, {}, /*float8=*/true),
          engine_of(2, make_cuda_model(), /*float8=*/true),
          /*num_worlds=*/1);
}

#ifdef RUBATO_CUDA_EMULATED
/// Ranks with a GPU of their own each.
rubato::testing::MakeModel over_nccl() {
  return [](const ModelShape& shape,
            const Checkpoint& checkpoint,
            Communicator& communicator,
            std::int64_t cache_tokens) {
    emulation::see_devices({communicator.rank()});
    return make_cuda_model()(shape, checkpoint, communicator, cache_tokens);
  };
}

TEST_F(CudaEngine, GivesTheAnswersOfOneRankOverNccl) {
  compare(engine_of(1, make_cuda_model()), engine_of(2, over_nccl()), /*num_worlds=*/1);
}
#endif

}  // namespace
}  // namespace rubato::cuda::testing
