// What may wait, and for how long.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/engine/coordinator.h"

namespace rubato {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

class QueueLimitsTest : public ::testing::Test {
 protected:
  /// A coordinator with room for one canvas of 10 positions, and a clock that stands still.
  Coordinator& coordinator(std::int64_t max_queued_prompt_tokens, seconds queue_timeout) {
    made_.emplace(CoordinatorLimits{.scheduler = {.cache_tokens = 10, .max_sequences = 4},
                                    .max_queued = 100,
                                    .max_queued_prompt_tokens = max_queued_prompt_tokens,
                                    .queue_timeout = queue_timeout,
                                    .max_context = 100},
                  /*pulse=*/nullptr,
                  [this] { return now_; });
    return *made_;
  }

  /// Submits a canvas of 10; its number, or -1 if it was refused.
  int submit(int prompt_tokens, int suffix_tokens = 0) {
    GenerationRequest request;
    request.prompt.resize(prompt_tokens);
    request.suffix.resize(suffix_tokens);
    request.max_tokens = 10 - prompt_tokens - suffix_tokens;
    request.policy.policy = find_policy("none");
    const int number = static_cast<int>(handles_.size());
    auto handle = made_->submit(request, [this, number](const GenerationUpdate& update) {
      if (update.error) ended_[number] = *update.error;
    });
    if (!handle) {
      refusal_ = handle.error();
      return -1;
    }
    handles_.push_back(*std::move(handle));
    return number;
  }

  /// Plans a step, which admits who fits.
  void step() { made_->next_plan(batch_); }

  Coordinator::Clock::time_point now_{};
  Batch batch_{ControlTokens{.mask = 1, .eos = 2}};
  std::optional<Coordinator> made_;
  std::vector<GenerationHandle> handles_;
  std::map<int, Error> ended_;
  Error refusal_;
};

TEST_F(QueueLimitsTest, PromptsBeyondTheLimitAreRefusedWithBothNumbers) {
  coordinator(/*max_queued_prompt_tokens=*/10, seconds(0));
  EXPECT_GE(submit(4), 0);
  EXPECT_GE(submit(4, /*suffix_tokens=*/2), 0);
  EXPECT_EQ(submit(1), -1);
  EXPECT_EQ(refusal_.code, Code::kOverloaded);
  EXPECT_THAT(refusal_.message, HasSubstr("10 tokens; at most 10"));
}

TEST_F(QueueLimitsTest, WhatIsAdmittedNoLongerCounts) {
  coordinator(10, seconds(0));
  submit(8);
  step();
  EXPECT_GE(submit(8), 0);
  EXPECT_EQ(submit(8), -1);
  handles_.pop_back();  // cancelled while it waits
  step();
  EXPECT_GE(submit(8), 0);
}

TEST_F(QueueLimitsTest, AnEmptyQueueTakesAnyPrompt) {
  coordinator(/*max_queued_prompt_tokens=*/1, seconds(0));
  EXPECT_GE(submit(8), 0);
}

TEST_F(QueueLimitsTest, WhoWaitsTooLongIsToldSoAndTheOthersWaitOn) {
  coordinator(1000, seconds(5));
  const int runs = submit(2);
  step();
  const int early = submit(2);
  now_ += seconds(3);
  const int late = submit(2);
  step();
  now_ += seconds(2);
  step();
  EXPECT_EQ(ended_.count(runs), 0u);
  ASSERT_EQ(ended_.count(early), 1u);
  EXPECT_EQ(ended_.at(early).code, Code::kOverloaded);
  EXPECT_THAT(ended_.at(early).message, HasSubstr("within 5 s"));
  EXPECT_EQ(ended_.count(late), 0u);
  EXPECT_EQ(made_->status().waiting, 1);
}

TEST_F(QueueLimitsTest, WithoutATimeoutEverybodyWaits) {
  coordinator(1000, seconds(0));
  submit(2);
  submit(2);
  now_ += seconds(100000);
  step();
  EXPECT_TRUE(ended_.empty());
}

TEST_F(QueueLimitsTest, QueueTimesAndPromptTokensAreCounted) {
  coordinator(1000, seconds(0));
  submit(2, 3);
  now_ += seconds(7);
  step();
  const EngineCounters counters = made_->status().counters;
  EXPECT_EQ(counters.prompt_tokens, 5u);
  EXPECT_EQ(counters.queue_seconds.sum, 7);
}

}  // namespace
}  // namespace rubato
