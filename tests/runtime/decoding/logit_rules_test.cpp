#include "runtime/decoding/logit_rules.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace rubato {
namespace {

TEST(LogitRules, BiasIsAddedToTheIdsOfTheSlice) {
  const LogitRules rules{.bias = {{2, 1.5f}, {5, -100}, {9, 7}}};
  std::vector<float> logits{0, 1, 2, 3};
  apply_rules(rules, 0, /*first_id=*/2, logits);
  EXPECT_EQ(logits, (std::vector<float>{1.5f, 1, 2, -97}));
}

TEST(LogitRules, LateTokensAreImpossibleBeforeMinTokensAndUntouchedFromThere) {
  const LogitRules rules{.bias = {{1, 100}}, .late = {1, 3}, .min_tokens = 2};
  for (const int index : {0, 1}) {
    std::vector<float> logits{0, 1, 2, 3};
    apply_rules(rules, index, 0, logits);
    EXPECT_EQ(std::ranges::max_element(logits) - logits.begin(), 2);
    EXPECT_EQ(std::exp(logits[1] - logits[2]), 0);
    EXPECT_TRUE(std::isfinite(logits[1]));
  }
  std::vector<float> logits{0, 1, 2, 3};
  apply_rules(rules, 2, 0, logits);
  EXPECT_EQ(logits, (std::vector<float>{0, 101, 2, 3}));
}

TEST(LogitRules, SayWhichPositionsTheyChange) {
  EXPECT_FALSE(LogitRules{}.change(0));
  EXPECT_TRUE((LogitRules{.bias = {{1, 1}}}.change(1000)));
  const LogitRules late{.late = {1}, .min_tokens = 2};
  EXPECT_TRUE(late.change(1));
  EXPECT_FALSE(late.change(2));
}

}  // namespace
}  // namespace rubato
