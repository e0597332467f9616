// The engine on a GPU against the engine on the CPU, in float32: the same tokens, boundaries and
// tracked sets, up to ties that rounding decides.
#include <algorithm>
#include <cmath>
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

class CudaEngine : public GpuTest {
 protected:
  /// All worlds' requests, alone and in one batch, on `tp` ranks; with float8 weights those of one.
  void compare(int tp, bool float8 = false) {
    int different = 0, all = 0;
    std::vector<rubato::testing::World> worlds = rubato::testing::worlds();
    if (float8) worlds.resize(1);
    for (const rubato::testing::World& world : worlds) {
      rubato::testing::TemporaryFolder folder;
      write_checkpoint(folder.path(), world.model);
      std::vector<GenerationRequest> requests(world.requests.begin(),
                                              world.requests.begin() + kRequests);
      for (GenerationRequest& request : requests) request.top_logprobs = 3;
      constexpr auto kFewRows = rubato::testing::kFewFullRows;
      LocalEngine cpu(folder.path(), tp, Storage::kFloat32, kFewRows, {}, float8);
      LocalEngine gpu(folder.path(), tp, Storage::kFloat32, kFewRows, make_cuda_model(), float8);
      const std::vector<Generated> expected = cpu.generate(requests),
                                   found = gpu.generate(requests);
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
  compare(1);
}

TEST_F(CudaEngine, GivesTheCpusAnswersAtTensorParallelSize2) {
  compare(2);
}

TEST_F(CudaEngine, GivesTheCpusAnswersWithFloat8WeightsAtTensorParallelSize2) {
  compare(2, /*float8=*/true);
}

}  // namespace
}  // namespace rubato::cuda::testing
