#include "parallel/roll_call.h"

#include <gtest/gtest.h>

namespace rubato::detail {
namespace {

TEST(RollCall, NamesTheRankThatIsMissing) {
  EXPECT_EQ(describe({{4, "all-reduce, collective 2"}, {5, ""}}), "rank 5 does not answer");
}

TEST(RollCall, NamesAllThatAreMissing) {
  EXPECT_EQ(describe({{0, ""}, {1, "heartbeat of step 7"}, {2, ""}}), "ranks 0, 2 do not answer");
}

TEST(RollCall, SaysWhereEachWaitsWhenNobodyIsMissing) {
  EXPECT_EQ(describe({{0, "heartbeat of step 7"}, {1, "all-reduce, collective 2"}}),
            "the ranks wait for each other: rank 0 in heartbeat of step 7, "
            "rank 1 in all-reduce, collective 2");
}

}  // namespace
}  // namespace rubato::detail
