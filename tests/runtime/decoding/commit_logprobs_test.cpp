#include <gtest/gtest.h>

#include "runtime/decoding/commit_rule.h"

namespace rubato {
namespace {

Candidate candidate(Position position, TokenId token, TokenId best_unmasked) {
  return {.position = position,
          .token = token,
          .confidence = 0.5,
          .best_unmasked = best_unmasked,
          .logprob = -1.0 * position,
          .best_unmasked_logprob = -position - 0.5,
          .top = {{token, -1.0 * position}}};
}

TEST(CommitLogprobs, AreThoseOfTheCommittedPositions) {
  const std::vector<Candidate> candidates{
      candidate(3, 7, 7), candidate(4, 8, 8), candidate(9, 6, 6)};
  const auto logprobs = logprobs_of(std::vector<Commit>{{3, 7}, {9, 6}}, candidates);
  ASSERT_EQ(logprobs.size(), 2u);
  EXPECT_EQ(logprobs[0], (CommitLogprobs{-3, {{7, -3}}}));
  EXPECT_EQ(logprobs[1], (CommitLogprobs{-9, {{6, -9}}}));
}

TEST(CommitLogprobs, OfAPositionWhosePickWasMaskAreThoseOfItsBestOtherToken) {
  constexpr TokenId kMask = 1;
  const std::vector<Candidate> candidates{candidate(3, kMask, 7)};
  const auto logprobs = logprobs_of(std::vector<Commit>{{3, 7}}, candidates);
  EXPECT_EQ(logprobs.at(0).logprob, -3.5);
}

}  // namespace
}  // namespace rubato
