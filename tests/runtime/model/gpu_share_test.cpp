#include "runtime/model/gpu_share.h"

#include <gtest/gtest.h>

#include <vector>

namespace rubato {
namespace {

using Uuids = std::vector<std::string>;

TEST(GpuShare, RanksOfAMachineTakeItsGpusInTurns) {
  EXPECT_EQ(gpu_of(0, 2), 0);
  EXPECT_EQ(gpu_of(1, 2), 1);
  EXPECT_EQ(gpu_of(2, 2), 0);  // more ranks than GPUs
}

TEST(GpuShare, ARankThatSeesOneGpuTakesIt) {
  for (const int local_rank : {0, 1, 7}) EXPECT_EQ(gpu_of(local_rank, 1), 0);
}

TEST(GpuShare, AGpuOfItsOwnIsARanksAlone) {
  // Whatever number each process gives it, and whichever machine it is in.
  const Uuids uuids = {"a", "b", "c", "d"};
  for (const std::string& uuid : uuids) EXPECT_EQ(share_of(80, uuid, uuids), 80);
}

TEST(GpuShare, WhatIsFreeIsDividedByTheRanksThatHaveTheSameGpu) {
  const Uuids uuids = {"a", "b", "a", "a"};
  EXPECT_EQ(share_of(80, "a", uuids), 26);
  EXPECT_EQ(share_of(80, "b", uuids), 80);
}

/// Tokens of 10 bytes beside 1000 bytes of weights.
std::int64_t needed(std::int64_t tokens) {
  return 1000 + 10 * tokens;
}

TEST(TokensThatFit, AreTheMostForWhichThereIsRoom) {
  constexpr std::int64_t kMost = 1 << 20;
  EXPECT_EQ(tokens_that_fit(needed(7 * kTokenStep), kMost, needed), 7 * kTokenStep);
  EXPECT_EQ(tokens_that_fit(needed(7 * kTokenStep) - 1, kMost, needed), 6 * kTokenStep);
  EXPECT_EQ(tokens_that_fit(needed(8 * kTokenStep) - 1, kMost, needed), 7 * kTokenStep);
}

TEST(TokensThatFit, AreNoMoreThanCanBeUsed) {
  EXPECT_EQ(tokens_that_fit(1 << 30, 4 * kTokenStep, needed), 4 * kTokenStep);
  EXPECT_EQ(tokens_that_fit(1 << 30, 4 * kTokenStep - 5, needed), 4 * kTokenStep);
}

TEST(TokensThatFit, AreTheLeastWhereThereIsNoRoom) {
  EXPECT_EQ(tokens_that_fit(0, 1 << 20, needed), kTokenStep);
}

}  // namespace
}  // namespace rubato
