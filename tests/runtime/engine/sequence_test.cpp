#include "runtime/engine/sequence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/runtime/engine/requests.h"

namespace rubato::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr TokenId kMask = 1, kEos = 2, kWord = 7;

/// A sequence of a prompt of 3.
Sequence sequence_of(int max_tokens, const char* policy = "elastic", bool ignore_eos = false) {
  GenerationRequest request = request_of(3, max_tokens, policy);
  request.policy.block_length = 4;
  request.ignore_eos = ignore_eos;
  return Sequence(spec_of(1, request), {.mask = kMask, .eos = kEos});
}

void commit(Sequence& sequence, std::vector<Commit> commits, std::vector<Position> tracked = {}) {
  sequence.apply({.id = 1, .commits = std::move(commits), .tracked = std::move(tracked)});
}

TEST(Sequence, BeginsAsItsPromptAndMasks) {
  const Sequence sequence = sequence_of(4);
  EXPECT_THAT(sequence.canvas(), ElementsAre(5, 5, 5, kMask, kMask, kMask, kMask));
  EXPECT_THAT(sequence.masked(), ElementsAre(3, 4, 5, 6));
  EXPECT_EQ(sequence.step(), 0);
  EXPECT_FALSE(sequence.done());
}

TEST(Sequence, WithoutAPromptBeginsWithMasks) {
  const Sequence sequence(spec_of(1, request_of(0, 2)), {.mask = kMask, .eos = kEos});
  EXPECT_THAT(sequence.masked(), ElementsAre(0, 1));
}

TEST(Sequence, WritesCommitsAndRemembersThemForOneStep) {
  Sequence sequence = sequence_of(4);
  commit(sequence, {{4, kWord}, {6, 8}}, {0, 4});
  EXPECT_THAT(sequence.canvas(), ElementsAre(5, 5, 5, kMask, kWord, kMask, 8));
  EXPECT_THAT(sequence.masked(), ElementsAre(3, 5));
  EXPECT_THAT(sequence.view().committed_last, ElementsAre(4, 6));
  EXPECT_THAT(sequence.view().tracked, ElementsAre(0, 4));
  EXPECT_EQ(sequence.view().step, 1);
  commit(sequence, {{3, kWord}});
  EXPECT_THAT(sequence.view().committed_last, ElementsAre(3));
  EXPECT_THAT(sequence.view().tracked, IsEmpty());
}

TEST(Sequence, IsDoneWhenEveryMaskIsFilled) {
  Sequence sequence = sequence_of(2);
  commit(sequence, {{4, kWord}});
  EXPECT_FALSE(sequence.done());
  commit(sequence, {{3, kWord}});
  EXPECT_TRUE(sequence.done());
}

TEST(SequenceEos, TakesThePositionsBehindItOffTheList) {
  Sequence sequence = sequence_of(6);  // positions 3 .. 8
  commit(sequence, {{5, kEos}});
  EXPECT_THAT(sequence.masked(), ElementsAre(3, 4));
  EXPECT_EQ(sequence.canvas()[6], kMask);  // they stay masks on the canvas
  commit(sequence, {{3, kWord}, {4, kWord}});
  EXPECT_TRUE(sequence.done());
}

TEST(SequenceEos, IsTheSmallestOfItsStep) {
  Sequence sequence = sequence_of(6);
  commit(sequence, {{4, kEos}, {7, kEos}});
  EXPECT_THAT(sequence.masked(), ElementsAre(3));
}

TEST(SequenceEos, LeavesTokensBehindItOnTheCanvas) {
  Sequence sequence = sequence_of(6);
  commit(sequence, {{7, kWord}});
  commit(sequence, {{5, kEos}, {8, 9}});
  EXPECT_THAT(sequence.masked(), ElementsAre(3, 4));
  EXPECT_EQ(sequence.canvas()[7], kWord);
  EXPECT_EQ(sequence.canvas()[8], 9);
  EXPECT_THAT(sequence.view().committed_last, ElementsAre(5, 8));  // queried once more like any
}

TEST(SequenceEos, CountsTheFirstTimeOnly) {
  Sequence sequence = sequence_of(8);
  commit(sequence, {{8, kEos}});
  EXPECT_THAT(sequence.masked(), ElementsAre(3, 4, 5, 6, 7));
  commit(sequence, {{4, kEos}});  // an earlier one, later: nothing more is dropped
  EXPECT_THAT(sequence.masked(), ElementsAre(3, 5, 6, 7));
}

TEST(SequenceEos, AtTheVeryBeginningEndsTheSequence) {
  Sequence sequence = sequence_of(4);
  commit(sequence, {{3, kEos}});
  EXPECT_TRUE(sequence.done());
}

TEST(SequenceEos, IsATokenLikeAnyOtherWhereItIsIgnored) {
  Sequence sequence = sequence_of(4, "elastic", /*ignore_eos=*/true);
  commit(sequence, {{3, kEos}});
  EXPECT_THAT(sequence.masked(), ElementsAre(4, 5, 6));
}

TEST(SequenceEos, InThePromptMeansNothing) {
  GenerationRequest request = request_of(2, 3);
  request.prompt = {kEos, kEos};
  Sequence sequence(spec_of(1, request), {.mask = kMask, .eos = kEos});
  commit(sequence, {{4, kWord}});
  EXPECT_THAT(sequence.masked(), ElementsAre(2, 3));
}

TEST(SequenceBlocks, FollowEachOtherAndTheLastMayBeShort) {
  Sequence sequence = sequence_of(10, "dual");  // 3-6, 7-10, 11-12
  EXPECT_EQ(sequence.view().block_begin, 3);
  EXPECT_EQ(sequence.view().block_end, 7);
  for (Position p = 3; p < 11; ++p) commit(sequence, {{p, kWord}});
  EXPECT_EQ(sequence.view().block_begin, 11);
  EXPECT_EQ(sequence.view().block_end, 13);
}

TEST(SequenceBlocks, CountTheirOwnSteps) {
  Sequence sequence = sequence_of(8, "dual");
  EXPECT_EQ(sequence.view().step_in_block, 0);
  commit(sequence, {{3, kWord}, {4, kWord}});
  EXPECT_EQ(sequence.view().step_in_block, 1);
  commit(sequence, {{5, kWord}, {6, kWord}});
  EXPECT_EQ(sequence.view().step_in_block, 0);
  EXPECT_EQ(sequence.view().block_begin, 7);
  EXPECT_EQ(sequence.view().step, 2);
}

TEST(SequenceBlocks, EndWithTheSequenceBehindAnEos) {
  Sequence sequence = sequence_of(8, "dual");
  commit(sequence, {{5, kEos}});
  EXPECT_EQ(sequence.view().block_begin, 3);
  commit(sequence, {{3, kWord}, {4, kWord}});
  EXPECT_TRUE(sequence.done());
}

TEST(SequenceBlocks, AreOneForPoliciesWithAWindow) {
  const Sequence sequence = sequence_of(10, "elastic");
  EXPECT_EQ(sequence.view().block_begin, 3);
  EXPECT_EQ(sequence.view().block_end, 13);
}

TEST(SequenceBlocks, AreNotLongerThanTheGeneratedPart) {
  const Sequence sequence = sequence_of(2, "dual");
  EXPECT_EQ(sequence.view().block_end, 5);
}

/// The quota of each step when just that many are committed, from left to right.
std::vector<int> quotas(Sequence sequence) {
  std::vector<int> found;
  while (!sequence.done()) {
    found.push_back(sequence.quota());
    std::vector<Commit> commits;
    const Position end = sequence.view().block_end;
    for (const Position p : sequence.masked()) {
      if (p < end && std::ssize(commits) < found.back()) commits.push_back({p, kWord});
    }
    commit(sequence, commits);
  }
  return found;
}

Sequence scheduled(int max_tokens, int block_length, int steps, const char* policy) {
  GenerationRequest request = request_of(3, max_tokens, policy);
  request.policy.block_length = block_length;
  request.commit = {.rule = CommitRule::kSchedule, .steps = steps};
  return Sequence(spec_of(1, request), {.mask = kMask, .eos = kEos});
}

TEST(SequenceQuota, SpreadsEachBlocksMasksOverItsShareOfTheSteps) {
  EXPECT_THAT(quotas(scheduled(10, 5, 6, "none")), ElementsAre(2, 2, 1, 2, 2, 1));
  EXPECT_THAT(quotas(scheduled(8, 4, 4, "none")), Each(2));
  EXPECT_THAT(quotas(scheduled(6, 6, 6, "none")), Each(1));
}

TEST(SequenceQuota, OfAShorterLastBlockIsItsOwn) {
  EXPECT_THAT(quotas(scheduled(10, 4, 6, "none")), ElementsAre(2, 2, 2, 2, 1, 1));
}

TEST(SequenceQuota, OfAWindowIsOverTheWholeGeneratedPart) {
  EXPECT_THAT(quotas(scheduled(10, 4, 4, "elastic")), ElementsAre(3, 3, 2, 2));
}

bool accepts(const Sequence& sequence,
             std::vector<Commit> commits,
             std::vector<Position> tracked = {}) {
  return sequence.accepts({.id = 1, .commits = std::move(commits), .tracked = std::move(tracked)});
}

TEST(SequenceUpdates, AreAcceptedWhereTheyFit) {
  Sequence sequence = sequence_of(4);
  EXPECT_TRUE(accepts(sequence, {}));
  EXPECT_TRUE(accepts(sequence, {{3, kWord}, {6, kWord}}, {0, 6}));
  commit(sequence, {{4, kEos}});
  EXPECT_TRUE(accepts(sequence, {{3, kWord}}));
}

TEST(SequenceUpdates, AreNotAcceptedWhereTheyDoNot) {
  Sequence sequence = sequence_of(4);
  commit(sequence, {{4, kEos}});
  EXPECT_FALSE(accepts(sequence, {{2, kWord}})) << "of the prompt";
  EXPECT_FALSE(accepts(sequence, {{4, kWord}})) << "committed already";
  EXPECT_FALSE(accepts(sequence, {{5, kWord}})) << "behind the first EOS";
  EXPECT_FALSE(accepts(sequence, {{7, kWord}})) << "beyond the canvas";
  EXPECT_FALSE(accepts(sequence, {{-1, kWord}}));
  EXPECT_FALSE(accepts(sequence, {{3, kWord}, {3, kWord}})) << "twice";
  EXPECT_FALSE(accepts(sequence, {}, {7})) << "beyond the canvas";
  EXPECT_FALSE(accepts(sequence, {}, {-1}));
  EXPECT_FALSE(accepts(sequence, {}, {2, 1})) << "out of order";
  EXPECT_FALSE(accepts(sequence, {}, {1, 1})) << "twice";
}

TEST(SequenceDigest, TellsStatesApart) {
  Sequence a = sequence_of(4), b = sequence_of(4);
  EXPECT_EQ(a.digest(), b.digest());
  commit(a, {{3, kWord}});
  EXPECT_NE(a.digest(), b.digest());
  commit(b, {{3, kWord + 1}});
  EXPECT_NE(a.digest(), b.digest());
  Sequence c = sequence_of(4), d = sequence_of(4);
  commit(c, {{3, kWord}}, {1});
  commit(d, {{3, kWord}}, {2});
  EXPECT_NE(c.digest(), d.digest());
}

}  // namespace
}  // namespace rubato::testing
