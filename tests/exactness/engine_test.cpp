// The engine against itself: the same request must come out the same at any tensor-parallel size.
// batch_invariance_test.cpp has it among others; reference_test.cpp compares it with an independent
// reference.
#include <gtest/gtest.h>

#include "runtime/base/concat.h"
#include "tests/exactness/cases.h"
#include "tests/exactness/comparison.h"
#include "tests/support/engine/local_engine.h"
#include "tests/support/temporary_folder.h"

namespace rubato::testing {
namespace {

class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const TestModel model = sharp_model(7);
    write_checkpoint(folder_.path(), model);
    std::mt19937_64 random(11);
    for (int i = 0; i < 40; ++i) requests_.push_back(random_request(random, model.config));
  }

  /// Each request by itself.
  std::vector<Generated> alone(LocalEngine& engine) {
    std::vector<Generated> results;
    for (const GenerationRequest& request : requests_)
      results.push_back(engine.generate({request}).front());
    return results;
  }

  TemporaryFolder folder_;
  std::vector<GenerationRequest> requests_;
};

TEST_F(EngineTest, GivesTheSameAtEveryTensorParallelSize) {
  LocalEngine one(folder_.path(), 1);
  const std::vector<Generated> expected = alone(one);
  for (const int tp : {2, 4}) {
    LocalEngine several(folder_.path(), tp);
    const std::vector<Generated> found = alone(several);
    for (std::size_t i = 0; i < found.size(); ++i) {
      expect_same(expected[i],
                  found[i],
                  concat("request ", i, " (", requests_[i].policy.policy->name, ") at TP ", tp));
    }
  }
}

// A rank that holds some columns of a row takes its scale from all of them.
TEST_F(EngineTest, GivesTheSameAtEveryTensorParallelSizeWithFloat8Weights) {
  LocalEngine one(folder_.path(), 1, Storage::kFloat32, kFewFullRows, {}, /*float8=*/true);
  const std::vector<Generated> expected = alone(one);
  for (const int tp : {2, 4}) {
    LocalEngine several(folder_.path(), tp, Storage::kFloat32, kFewFullRows, {}, /*float8=*/true);
    const std::vector<Generated> found = alone(several);
    for (std::size_t i = 0; i < found.size(); ++i)
      expect_same(expected[i], found[i], concat("request ", i, " at TP ", tp));
  }
}

TEST_F(EngineTest, Float8WeightsAreOthersThanTheCheckpoints) {
  LocalEngine given(folder_.path(), 1);
  LocalEngine rounded(folder_.path(), 1, Storage::kFloat32, kFewFullRows, {}, /*float8=*/true);
  std::size_t different = 0;
  const std::vector<Generated> a = alone(given), b = alone(rounded);
  for (std::size_t i = 0; i < a.size(); ++i) different += a[i].canvas != b[i].canvas;
  EXPECT_GT(different, 0U);
}

TEST_F(EngineTest, RefreshingEverythingEachStepEqualsNoCache) {
  LocalEngine engine(folder_.path(), 2);
  for (GenerationRequest request : requests_) {
    request.policy.window = request.policy.block_length = request.max_tokens;
    request.policy.refresh_every = 1;
    request.policy.policy = find_policy("interval");
    const Generated found = engine.generate({request}).front();
    request.policy.policy = find_policy("none");
    EXPECT_EQ(found.canvas, engine.generate({request}).front().canvas);
  }
}

TEST_F(EngineTest, TemperatureZeroIgnoresTheSeed) {
  LocalEngine engine(folder_.path(), 1);
  for (GenerationRequest request : requests_) {
    request.sampling = {.temperature = 0, .top_p = 1, .top_k = 0, .seed = 1};
    const Generated first = engine.generate({request}).front();
    request.sampling.seed = 2;
    expect_same(first, engine.generate({request}).front(), "another seed");
  }
}

TEST_F(EngineTest, TheSeedDecidesAtATemperatureAndNothingElseDoes) {
  for (GenerationRequest& request : requests_) request.sampling.temperature = 0.8;
  LocalEngine one(folder_.path(), 1), four(folder_.path(), 4);
  const std::vector<Generated> expected = alone(one), again = four.generate(requests_);
  for (GenerationRequest& request : requests_) ++request.sampling.seed;
  const std::vector<Generated> others = alone(one);
  int differ = 0;
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    expect_same(expected[i], again[i], concat("request ", i));
    differ += expected[i].canvas != others[i].canvas;
  }
  EXPECT_GT(differ, 30);
}

TEST_F(EngineTest, SomeStepsDriftAndSomeDoNot) {
  LocalEngine engine(folder_.path(), 1);
  int refreshed = 0, reused = 0;
  for (const Generated& result : engine.generate(requests_)) {
    for (const StepTrace& step : result.trace) {
      if (step.similarity.empty()) continue;
      step.boundary ? ++refreshed : ++reused;
    }
  }
  EXPECT_GT(refreshed, 10);
  EXPECT_GT(reused, 10);
}

}  // namespace
}  // namespace rubato::testing
