#include "runtime/model/eligible_part.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rubato {
namespace {

using ::testing::ElementsAre;

std::vector<StepSequence> sequences_of(const std::vector<std::vector<Position>>& eligible) {
  std::vector<StepSequence> sequences(eligible.size());
  for (std::size_t i = 0; i < eligible.size(); ++i) sequences[i].query.eligible = eligible[i];
  return sequences;
}

std::vector<std::vector<Position>> eligible_of(std::span<const StepSequence> sequences) {
  std::vector<std::vector<Position>> eligible;
  for (const StepSequence& sequence : sequences) eligible.push_back(sequence.query.eligible);
  return eligible;
}

TEST(EligiblePart, KeepsThePositionsOfARange) {
  const auto all = sequences_of({{5, 6, 9}, {}, {2}, {7, 8}});
  EXPECT_EQ(num_eligible(all), 6);
  EXPECT_THAT(eligible_of(eligible_part(all, 1, 4)),
              ElementsAre(ElementsAre(6, 9), ElementsAre(), ElementsAre(2), ElementsAre()));
  EXPECT_THAT(eligible_of(eligible_part(all, 4, 9)),
              ElementsAre(ElementsAre(), ElementsAre(), ElementsAre(), ElementsAre(7, 8)));
}

TEST(EligiblePart, CandidatesComeTogetherBySequenceWhateverTheParts) {
  const auto all = sequences_of({{5, 6, 9}, {}, {2}, {7, 8}});
  for (int at_a_time = 1; at_a_time <= 7; ++at_a_time) {
    std::vector<int> firsts;
    const auto candidates =
        candidates_by_part(all, at_a_time, [&](std::span<const StepSequence> part, int first) {
          firsts.push_back(first);
          EXPECT_LE(num_eligible(part), at_a_time);
          std::vector<std::vector<Candidate>> found(part.size());
          for (std::size_t i = 0; i < part.size(); ++i) {
            for (const Position position : part[i].query.eligible)
              found[i].push_back({.position = position});
          }
          return found;
        });
    std::vector<std::vector<Position>> positions(candidates.size());
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      for (const Candidate& candidate : candidates[i]) positions[i].push_back(candidate.position);
    }
    EXPECT_EQ(positions, eligible_of(all)) << at_a_time;
    EXPECT_EQ(std::ssize(firsts), (6 + at_a_time - 1) / at_a_time);
    for (std::size_t part = 0; part < firsts.size(); ++part)
      EXPECT_EQ(firsts[part], static_cast<int>(part) * at_a_time);
  }
}

TEST(EligiblePart, ThereIsAPartEvenOfNothing) {
  int calls = 0;
  candidates_by_part({}, 4, [&](std::span<const StepSequence>, int) {
    ++calls;
    return std::vector<std::vector<Candidate>>();
  });
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace rubato
