#include "runtime/engine/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/runtime/engine/requests.h"

namespace rubato::testing {
namespace {

using ::testing::HasSubstr;

constexpr ControlTokens kTokens{.mask = 1, .eos = 2};
constexpr TokenId kToken = 7;

/// A rank that makes plans, and one that receives them.
class BatchTest : public ::testing::Test {
 protected:
  BatchTest() {
    for (const SequenceId id : {1, 2, 3}) {
      planning_.admit(spec_of(id, request_of(2, 4)));
      plan_.admissions.push_back(spec_of(id, request_of(2, 4)));
      plan_.participants.push_back(id);
    }
    plan_.digest = planning_.digest();
    EXPECT_TRUE(receiving_.apply(plan_).ok());
    plan_.admissions.clear();
  }

  std::string refusal(const StepPlan& plan) {
    const Status status = receiving_.apply(plan);
    if (status.ok()) return "applied";
    EXPECT_EQ(status.error().code, Code::kInternal);
    return status.error().message;
  }

  Batch planning_{kTokens}, receiving_{kTokens};
  StepPlan plan_;  // one that changes nothing
};

TEST_F(BatchTest, ComesToTheSameStateByTheSamePlans) {
  EXPECT_EQ(receiving_.digest(), planning_.digest());
  const SequenceUpdate update{.id = 2, .commits = {{3, kToken}}, .tracked = {0}};
  EXPECT_TRUE(planning_.update(update).ok());
  EXPECT_TRUE(planning_.release(1).ok());
  plan_.updates = {update};
  plan_.releases = {1};
  plan_.participants = {3, 2};
  plan_.digest = planning_.digest();
  EXPECT_EQ(refusal(plan_), "applied");
  EXPECT_EQ(receiving_.find(1), nullptr);
  ASSERT_EQ(receiving_.participants().size(), 2u);
  EXPECT_EQ(receiving_.participants()[0]->spec().id, 3u);  // in the plan's order
  EXPECT_EQ(receiving_.participants()[1]->canvas()[3], kToken);
}

TEST_F(BatchTest, UpdatesReleasesAndAdmitsInOnePlan) {
  plan_.updates = {{.id = 1, .commits = {{2, kToken}}, .tracked = {}}};
  plan_.releases = {1};  // what was updated may be released
  plan_.admissions = {spec_of(4, request_of(1, 1))};
  plan_.participants = {2, 3, 4};
  ASSERT_TRUE(planning_.release(1).ok());
  planning_.admit(plan_.admissions[0]);
  plan_.digest = planning_.digest();
  EXPECT_EQ(refusal(plan_), "applied");
}

TEST_F(BatchTest, RefusesAPlanOfAnotherState) {
  plan_.digest ^= 1;
  EXPECT_THAT(refusal(plan_), HasSubstr("differ from the coordinator's: digest"));
}

TEST_F(BatchTest, RefusesAnUpdateThatItHasNot) {
  const SequenceUpdate update{.id = 2, .commits = {{3, kToken}}, .tracked = {}};
  ASSERT_TRUE(planning_.update(update).ok());
  plan_.digest = planning_.digest();  // the update itself was lost
  EXPECT_THAT(refusal(plan_), HasSubstr("digest"));
}

TEST_F(BatchTest, RefusesNamesItDoesNotKnow) {
  StepPlan updates = plan_, releases = plan_, participants = plan_;
  updates.updates = {{.id = 9, .commits = {}, .tracked = {}}};
  releases.releases = {9};
  participants.participants = {1, 9};
  EXPECT_THAT(refusal(updates), HasSubstr("updates name sequence 9"));
  EXPECT_THAT(refusal(releases), HasSubstr("releases name sequence 9"));
  EXPECT_THAT(refusal(participants), HasSubstr("participants name sequence 9"));
}

TEST_F(BatchTest, RefusesToReleaseTwice) {
  plan_.releases = {1, 1};
  EXPECT_THAT(refusal(plan_), HasSubstr("releases name sequence 1"));
}

TEST_F(BatchTest, RefusesToAdmitTwice) {
  plan_.admissions = {spec_of(2, request_of(1, 1))};
  EXPECT_THAT(refusal(plan_), HasSubstr("admits sequence 2 again"));
}

TEST_F(BatchTest, RefusesUpdatesThatDoNotFit) {
  for (const Position position : {-1, 0, 1, 6, 1'000'000}) {
    plan_.updates = {{.id = 2, .commits = {{position, kToken}}, .tracked = {}}};
    EXPECT_THAT(refusal(plan_), HasSubstr("update of sequence 2 does not fit"));
  }
}

TEST(BatchDigest, DependsOnWhoIsThere) {
  Batch one(kTokens), two(kTokens), other(kTokens);
  const std::uint64_t empty = one.digest();
  one.admit(spec_of(1, request_of(2, 4)));
  two.admit(spec_of(1, request_of(2, 4)));
  two.admit(spec_of(2, request_of(2, 4)));
  other.admit(spec_of(2, request_of(2, 4)));
  EXPECT_NE(one.digest(), empty);
  EXPECT_NE(one.digest(), two.digest());
  EXPECT_NE(one.digest(), other.digest());
}

}  // namespace
}  // namespace rubato::testing
