// More rows than go through the layers together, through a layer's matrices or through the head at
// a time: where they are cut must not show.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "tests/exactness/cases.h"
#include "tests/support/engine/local_engine.h"
#include "tests/support/temporary_folder.h"

namespace rubato::testing {
namespace {

constexpr std::int64_t kCanvasTokens = 4096;  // of all requests together, at most

class ManyRows : public ::testing::TestWithParam<Storage> {
 protected:
  void load(const TestModel& model) {
    write_checkpoint(folder_.path(), model);
    mask_ = model.config.mask_token_id;
    one_.emplace(folder_.path(), 1, GetParam(), kCanvasTokens);
    two_.emplace(folder_.path(), 2, GetParam(), kCanvasTokens);
  }

  /// Together, alone and over two ranks.
  void expect_the_same_of(const std::vector<GenerationRequest>& requests) {
    const std::vector<Generated> together = one_->generate(requests),
                                 over_two = two_->generate(requests);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      EXPECT_EQ(std::ranges::count(together[i].canvas, mask_), 0) << i;
      const Generated alone = one_->generate({requests[i]}).front();
      EXPECT_EQ(alone.stats, together[i].stats) << i;
      for (const Generated& other : {together[i], over_two[i]}) {
        EXPECT_EQ(alone.canvas, other.canvas) << i;
        ASSERT_EQ(alone.trace.size(), other.trace.size()) << i;
        for (std::size_t step = 0; step < alone.trace.size(); ++step) {
          EXPECT_EQ(alone.trace[step].boundary, other.trace[step].boundary) << i << ", " << step;
          EXPECT_EQ(alone.trace[step].similarity, other.trace[step].similarity)
              << i << ", " << step;
        }
      }
    }
  }

 private:
  const TemporaryFolder folder_;
  TokenId mask_ = 0;
  std::optional<LocalEngine> one_, two_;
};

// Together these are two passes, of 800 rows and of 2000, each of which is cut every 512.
TEST_P(ManyRows, GiveTheSameInPartsOfPasses) {
  TestModel model = sharp_model(7);
  model.config.max_sequence_length = 2048;
  load(model);
  std::vector<GenerationRequest> requests;
  std::mt19937_64 random(3);
  for (const int length : {100, 700, 1300, 700}) {
    GenerationRequest& request = requests.emplace_back();
    request.max_tokens = 16;
    request.prompt.resize(length - request.max_tokens);
    for (TokenId& id : request.prompt)
      id = static_cast<TokenId>(random() % (model.config.vocab_size - 3));
    request.policy.policy = find_policy("elastic");
    request.commit = {.rule = CommitRule::kSchedule, .steps = 4};
    request.ignore_eos = true;
  }
  requests.back().policy.policy = find_policy("prefix");
  expect_the_same_of(requests);
}

// At 65,536 ids the head runs over 256 rows at a time on one rank, and over 512 on two.
TEST_P(ManyRows, GiveTheSameInPartsOfLogits) {
  load(random_model(small_config(2, 32, 4, 48, 65536), 7));
  GenerationRequest request;
  request.prompt = {1, 2, 3};
  request.max_tokens = 200;
  request.policy.policy = find_policy("none");
  request.policy.block_length = 200;
  request.commit = {.rule = CommitRule::kSchedule, .steps = 2};
  request.ignore_eos = true;
  GenerationRequest truncated = request;
  truncated.sampling = {.temperature = 1, .top_k = 5, .seed = 3};
  truncated.top_logprobs = 2;
  expect_the_same_of({request, truncated});
}

INSTANTIATE_TEST_SUITE_P(, ManyRows, ::testing::Values(Storage::kFloat32, Storage::kBFloat16));

}  // namespace
}  // namespace rubato::testing
