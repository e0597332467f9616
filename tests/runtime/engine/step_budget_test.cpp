#include "runtime/engine/step_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace rubato {
namespace {

using ::testing::ElementsAre;

constexpr StepBudget kMost = {.full_rows = 100, .drift_bytes = 100};

TEST(StepBudget, WhoeverIsDueNoFullForwardTakesPart) {
  EXPECT_THAT(choose_participants({{{1, 0, 0}, {2, 0, 5}, {3, 0, 0}}}, {1, 1}),
              ElementsAre(1, 2, 3));
}

TEST(StepBudget, FullForwardsBeyondTheLimitWait) {
  EXPECT_THAT(choose_participants({{{1, 60, 0}, {2, 0, 0}, {3, 60, 0}, {4, 40, 0}}}, kMost),
              ElementsAre(1, 2, 4));
}

TEST(StepBudget, WhoWaitedLongestGoesFirst) {
  EXPECT_THAT(choose_participants({{{1, 60, 0}, {2, 60, 1}, {3, 60, 4}}}, kMost), ElementsAre(3));
}

TEST(StepBudget, OneCanvasAboveTheLimitGoesAlone) {
  EXPECT_THAT(choose_participants({{{1, 500, 2}, {2, 10, 1}, {3, 0, 0}}}, kMost),
              ElementsAre(1, 3));
}

TEST(StepBudget, DriftTestsBeyondTheLimitWaitAsFullForwardsDo) {
  EXPECT_THAT(
      choose_participants(
          {{{1, 0, 0, 60}, {2, 0, 1, 60}, {3, 0, 0, 0}, {4, 50, 0, 0}, {5, 0, 0, 40}}}, kMost),
      ElementsAre(2, 3, 4, 5));
  EXPECT_THAT(choose_participants({{{1, 0, 2, 500}, {2, 0, 1, 1}, {3, 100, 0, 0}}}, kMost),
              ElementsAre(1, 3));
}

TEST(StepBudget, NobodyIsNobody) {
  EXPECT_TRUE(choose_participants({}, kMost).empty());
}

TEST(StepBudget, KeepsTheLimitAndStarvesNobodyWhateverIsDue) {
  std::mt19937_64 random(5);
  std::vector<StepCandidate> candidates;
  for (SequenceId id = 1; id <= 12; ++id) candidates.push_back({id, 0, 0});
  for (int step = 0; step < 5000; ++step) {
    for (StepCandidate& candidate : candidates) {
      if (candidate.waited == 0)  // what is due stays due until it is done
        candidate.full_rows = random() % 3 == 0 ? static_cast<std::int64_t>(1 + random() % 150) : 0;
    }
    const std::vector<SequenceId> chosen = choose_participants(candidates, kMost);
    std::int64_t rows = 0, largest = 0;
    for (StepCandidate& candidate : candidates) {
      const bool runs = std::ranges::binary_search(chosen, candidate.id);
      if (runs) {
        rows += candidate.full_rows;
        largest = std::max(largest, candidate.full_rows);
      }
      candidate.waited = runs ? 0 : candidate.waited + 1;
      // Each of the others can go before it once at most.
      ASSERT_LT(candidate.waited, 12);
    }
    ASSERT_LE(rows, std::max(kMost.full_rows, largest));
    ASSERT_TRUE(std::ranges::is_sorted(chosen));
  }
}

}  // namespace
}  // namespace rubato
