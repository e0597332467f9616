#include "runtime/replicas/router.h"

#include <gtest/gtest.h>

namespace rubato {
namespace {

/// A replica that remembers what it was given and never finishes.
class FakeReplica final : public GenerationClient {
 public:
  Result<GenerationHandle> submit(GenerationRequest request, UpdateSink) override {
    if (refusal) return *refusal;
    now.outstanding_tokens += request.canvas_length();
    ++submitted;
    return GenerationHandle();
  }
  EngineStatus status() const override { return now; }

  EngineStatus now{.ready = true,
                   .running = 1,
                   .waiting = 2,
                   .cache_tokens_total = 100,
                   .cache_tokens_used = 10};
  std::optional<Error> refusal;
  int submitted = 0;
};

class RouterTest : public ::testing::Test {
 protected:
  Result<GenerationHandle> submit(int max_tokens) {
    GenerationRequest request;
    request.max_tokens = max_tokens;
    return router_.submit(request, {});
  }

  FakeReplica first_, second_, third_;
  Router router_{{&first_, &second_, &third_}};
};

TEST_F(RouterTest, SendsEachGenerationToTheReplicaWithTheFewestPositionsOutstanding) {
  for (const int max_tokens : {300, 100, 100, 100, 100}) EXPECT_TRUE(submit(max_tokens).ok());
  EXPECT_EQ(first_.submitted, 1);   // 300
  EXPECT_EQ(second_.submitted, 2);  // 100 + 100: ties go to the first
  EXPECT_EQ(third_.submitted, 2);
}

TEST_F(RouterTest, PassesOverAReplicaWhoseQueueIsFull) {
  first_.refusal = Error{Code::kOverloaded, "full"};
  EXPECT_TRUE(submit(10).ok());
  EXPECT_EQ(second_.submitted, 1);
}

TEST_F(RouterTest, IsOverloadedWhenAllAre) {
  first_.refusal = second_.refusal = third_.refusal = Error{Code::kOverloaded, "full"};
  EXPECT_EQ(submit(10).error().code, Code::kOverloaded);
}

TEST_F(RouterTest, DoesNotOfferElsewhereWhatCanNeverBeServed) {
  first_.refusal = Error{Code::kTooLong, "too long"};
  EXPECT_EQ(submit(10).error().code, Code::kTooLong);
  EXPECT_EQ(second_.submitted, 0);
}

TEST_F(RouterTest, PrefersAReplicaThatIsReady) {
  first_.now.ready = false;
  second_.now.outstanding_tokens = 50;
  third_.now.outstanding_tokens = 40;
  EXPECT_TRUE(submit(10).ok());
  EXPECT_EQ(third_.submitted, 1);
}

TEST_F(RouterTest, AddsUpTheLoadAndIsReadyWhenAllAre) {
  EXPECT_TRUE(router_.status().ready);
  EXPECT_EQ(router_.status().running, 3);
  EXPECT_EQ(router_.status().waiting, 6);
  EXPECT_EQ(router_.status().cache_tokens_total, 300);
  EXPECT_EQ(router_.status().cache_tokens_used, 30);
  first_.now.times.kinds[0].steps = third_.now.times.kinds[0].steps = 5;
  EXPECT_EQ(router_.status().times.kinds[0].steps, 10);
  EXPECT_EQ(router_.replicas().size(), 3U);
  second_.now.ready = false;
  EXPECT_FALSE(router_.status().ready);
}

}  // namespace
}  // namespace rubato
