#include "runtime/decoding/commit_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace rubato {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr TokenId kMask = 99;

/// Candidates at positions 10, 11, ... with tokens 0, 1, ... and these confidences.
std::vector<Candidate> candidates(const std::vector<double>& confidences) {
  std::vector<Candidate> list;
  for (int i = 0; i < static_cast<int>(confidences.size()); ++i) {
    Candidate& candidate = list.emplace_back();
    candidate.position = 10 + i;
    candidate.token = i;
    candidate.confidence = confidences[i];
    candidate.best_unmasked = 50 + i;
  }
  return list;
}

/// The positions committed, counted from the first candidate.
std::vector<int> chosen(const std::vector<Candidate>& list,
                        const CommitParams& params,
                        int quota = 0) {
  std::vector<int> positions;
  for (const Commit& commit : choose_commits(list, params, quota, kMask))
    positions.push_back(commit.position - 10);
  return positions;
}

CommitParams threshold(double value) {
  return {.rule = CommitRule::kThreshold, .threshold = value};
}
CommitParams factor(double value) {
  return {.rule = CommitRule::kFactor, .factor = value};
}
const CommitParams kSchedule = {.rule = CommitRule::kSchedule};

TEST(ThresholdRule, CommitsEveryPositionAtOrAboveIt) {
  EXPECT_THAT(chosen(candidates({0.5, 0.9, 0.95, 0.89}), threshold(0.9)), ElementsAre(1, 2));
}

TEST(ThresholdRule, CommitsTheMostConfidentWhereNoneReachesIt) {
  EXPECT_THAT(chosen(candidates({0.5, 0.7, 0.6}), threshold(0.9)), ElementsAre(1));
}

TEST(ThresholdRule, CommitsAllThatAreEquallyMostConfident) {
  EXPECT_THAT(chosen(candidates({0.5, 0.7, 0.7}), threshold(0.9)), ElementsAre(1, 2));
}

TEST(ScheduleRule, CommitsTheMostConfidentUpToTheQuota) {
  EXPECT_THAT(chosen(candidates({0.5, 0.9, 0.6, 0.7}), kSchedule, 2), ElementsAre(1, 3));
  EXPECT_THAT(chosen(candidates({0.5, 0.9}), kSchedule, 5), ElementsAre(0, 1));
}

TEST(ScheduleRule, GivesTiesToTheLowestPosition) {
  EXPECT_THAT(chosen(candidates({0.2, 0.5, 0.5, 0.5}), kSchedule, 2), ElementsAre(1, 2));
}

TEST(FactorRule, CommitsTheLongestRunThatIsConfidentEnough) {
  // Least confidences of the first, second, third: 1 - 1/2, 1 - 1/3, 1 - 1/4.
  EXPECT_THAT(chosen(candidates({0.7, 0.4, 0.8, 0.76}), factor(1)), ElementsAre(2, 3));
  EXPECT_THAT(chosen(candidates({0.75, 0.75, 0.75}), factor(1)), ElementsAre(0, 1, 2));
  EXPECT_THAT(chosen(candidates({0.7, 0.7, 0.7}), factor(1)), ElementsAre(0, 1));
}

TEST(FactorRule, StopsAtTheFirstThatFails) {
  // With factor 2 the first three need 0, 1/3, 1/2, the fourth 3/5.
  EXPECT_THAT(chosen(candidates({0.9, 0.3, 0.3}), factor(2)), ElementsAre(0));
}

TEST(FactorRule, CommitsOneWhereNoneIsConfidentEnough) {
  EXPECT_THAT(chosen(candidates({0.1, 0.2, 0.2}), factor(0.1)), ElementsAre(1));
}

TEST(ChooseCommits, OfNothingIsNothing) {
  EXPECT_THAT(chosen({}, threshold(0.9)), IsEmpty());
}

TEST(ChooseCommits, LeavesOutThoseThatPickMask) {
  auto list = candidates({0.99, 0.5, 0.6});
  list[0].token = kMask;
  EXPECT_THAT(chosen(list, threshold(0.9)), ElementsAre(2));
  EXPECT_THAT(chosen(list, kSchedule, 3), ElementsAre(1, 2));
}

TEST(ChooseCommits, TakesTheMostConfidentsNextBestWhereAllPickMask) {
  auto list = candidates({0.5, 0.8, 0.8});
  for (Candidate& candidate : list) candidate.token = kMask;
  for (const CommitParams& params : {threshold(0.1), kSchedule, factor(1)})
    EXPECT_THAT(choose_commits(list, params, 3, kMask), ElementsAre(Commit{11, 51}));
}

TEST(ChooseCommits, AscendsByPositionAndKeepsTokens) {
  EXPECT_THAT(choose_commits(candidates({0.91, 0.99, 0.95}), threshold(0.9), 0, kMask),
              ElementsAre(Commit{10, 0}, Commit{11, 1}, Commit{12, 2}));
}

/// Which positions the rules commit, each read off its definition.
std::vector<int> by_definition(const std::vector<Candidate>& list,
                               const CommitParams& params,
                               int quota) {
  std::vector<int> order(list.size());
  std::iota(order.begin(), order.end(), 0);
  std::erase_if(order, [&](int i) { return list[i].token == kMask; });
  std::ranges::sort(order, [&](int a, int b) {
    return std::pair(-list[a].confidence, a) < std::pair(-list[b].confidence, b);
  });
  std::size_t count = 0;
  for (const int i : order) {
    const double c = list[i].confidence, best = list[order[0]].confidence;
    const auto n = static_cast<double>(count + 1);
    const bool taken = params.rule == CommitRule::kThreshold ? c >= std::min(params.threshold, best)
                       : params.rule == CommitRule::kSchedule
                           ? count < static_cast<std::size_t>(quota)
                           : c >= 1 - params.factor / (n + 1);
    if (!taken) break;
    ++count;
  }
  order.resize(std::max<std::size_t>(count, 1));
  std::ranges::sort(order);
  return order;
}

TEST(ChooseCommits, EqualsTheDefinitionOnRandomCases) {
  std::mt19937 random(23);
  for (int round = 0; round < 5000; ++round) {
    std::vector<double> confidences(1 + random() % 12);
    for (double& c : confidences) c = static_cast<double>(random() % 8) / 8;  // with ties
    auto list = candidates(confidences);
    for (Candidate& candidate : list) {
      if (random() % 4 == 0) candidate.token = kMask;
    }
    if (std::ranges::all_of(list, [](const Candidate& c) { return c.token == kMask; })) continue;
    const int quota = static_cast<int>(1 + random() % 6);
    for (const CommitParams& params : {threshold(0.6), kSchedule, factor(0.7), factor(2)})
      EXPECT_EQ(chosen(list, params, quota), by_definition(list, params, quota));
  }
}

TEST(ScheduleQuota, SpreadsMasksOverStepsWithTheRestFirst) {
  std::vector<int> quotas;
  for (int step = 0; step < 5; ++step) quotas.push_back(schedule_quota(12, 5, step));
  EXPECT_THAT(quotas, ElementsAre(3, 3, 2, 2, 2));
}

TEST(ScheduleQuota, IsEvenWhereStepsDivideMasks) {
  for (int step = 0; step < 4; ++step) EXPECT_EQ(schedule_quota(12, 4, step), 3);
}

TEST(ScheduleQuota, IsNeverLessThanOne) {
  for (int step = 0; step < 12; ++step) EXPECT_EQ(schedule_quota(3, 10, step), 1);
}

TEST(ScheduleQuota, FillsABlockInJustItsSteps) {
  for (int masks = 1; masks <= 40; ++masks) {
    for (int steps = 1; steps <= masks; ++steps) {
      int filled = 0;
      for (int step = 0; step < steps; ++step) filled += schedule_quota(masks, steps, step);
      EXPECT_EQ(filled, masks) << steps << " steps";
    }
  }
}

}  // namespace
}  // namespace rubato
