#include "cache/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <set>

namespace rubato {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A snapshot that owns what it shows: a prompt of 4 and 12 generated positions, in blocks of 4.
struct Snapshot {
  int step = 3;
  int step_in_block = 1;
  Position block_begin = 4;
  Position block_end = 8;
  std::vector<Position> masked = {6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  std::vector<Position> committed_last = {5};
  std::vector<Position> tracked = {0, 2};

  SequenceView view() const {
    return {.canvas_length = 16,
            .prompt_length = 4,
            .step = step,
            .step_in_block = step_in_block,
            .block_begin = block_begin,
            .block_end = block_end,
            .masked = masked,
            .committed_last = committed_last,
            .tracked = tracked};
  }
};

StepQuery ask(const char* policy, const Snapshot& snapshot, PolicyParams params = {.window = 3}) {
  params.policy = find_policy(policy);
  StepQuery query = params.policy->query(params, snapshot.view());
  EXPECT_EQ(params.policy->refresh(params, snapshot.view()), query.refresh);
  EXPECT_TRUE(query.refresh != Refresh::kByDrift || params.policy->tests_drift) << policy;
  return query;
}

Position reach_of(const Snapshot& snapshot, PolicyParams params) {
  params.policy = find_policy("horizon");
  return canvas_reach(params, snapshot.view());
}

std::vector<Position> range(Position begin, Position end) {
  std::vector<Position> positions(end - begin);
  std::iota(positions.begin(), positions.end(), begin);
  return positions;
}

TEST(NonePolicy, ComputesEverythingEveryStepAndCommitsWithinTheBlock) {
  for (const int step : {0, 1, 5}) {
    const StepQuery query = ask("none", {.step = step, .step_in_block = step});
    EXPECT_EQ(query.refresh, Refresh::kFull);
    EXPECT_THAT(query.rows, IsEmpty());
    EXPECT_THAT(query.eligible, ElementsAre(6, 7));
  }
}

TEST(PrefixPolicy, ComputesEverythingAtABlocksFirstStep) {
  const StepQuery query = ask("prefix", {.step_in_block = 0});
  EXPECT_EQ(query.refresh, Refresh::kFull);
  EXPECT_THAT(query.rows, IsEmpty());
  EXPECT_THAT(query.eligible, ElementsAre(6, 7));
}

TEST(PrefixPolicy, ThenComputesFromTheBlockToTheEnd) {
  const StepQuery query = ask("prefix", {});
  EXPECT_EQ(query.refresh, Refresh::kNone);
  EXPECT_EQ(query.rows, range(4, 16));
  EXPECT_EQ(query.num_tracked, 0);
  EXPECT_THAT(query.eligible, ElementsAre(6, 7));
}

TEST(DualPolicy, ComputesEverythingAtABlocksFirstStep) {
  EXPECT_EQ(ask("dual", {.step_in_block = 0}).refresh, Refresh::kFull);
}

TEST(DualPolicy, ThenComputesTheBlockAlone) {
  const StepQuery query = ask("dual", {});
  EXPECT_EQ(query.refresh, Refresh::kNone);
  EXPECT_EQ(query.rows, range(4, 8));
  EXPECT_THAT(query.eligible, ElementsAre(6, 7));
}

TEST(ElasticPolicy, BeginsWithEverything) {
  const StepQuery query = ask("elastic", {.step = 0, .committed_last = {}, .tracked = {}});
  EXPECT_EQ(query.refresh, Refresh::kFull);
  EXPECT_THAT(query.rows, IsEmpty());
  EXPECT_THAT(query.eligible, ElementsAre(6, 7, 8));
}

TEST(ElasticPolicy, ThenComputesTrackedThenCommittedThenTheWindow) {
  const StepQuery query = ask("elastic", {});
  EXPECT_EQ(query.refresh, Refresh::kByDrift);
  EXPECT_THAT(query.rows, ElementsAre(0, 2, 5, 6, 7, 8));
  EXPECT_EQ(query.num_tracked, 2);
  EXPECT_THAT(query.eligible, ElementsAre(6, 7, 8));
}

TEST(ElasticPolicy, TheWindowPassesOverBlocksAndGaps) {
  const StepQuery query = ask("elastic", {.masked = {6, 9, 13, 15}});
  EXPECT_THAT(query.eligible, ElementsAre(6, 9, 13));
}

TEST(ElasticPolicy, AShorterRestIsTheWindow) {
  EXPECT_THAT(ask("elastic", {.masked = {15}}).eligible, ElementsAre(15));
}

TEST(ElasticPolicy, NamesEachPositionOnceWhereTrackedOnesAreCommittedOrMasked) {
  const StepQuery query = ask("elastic", {.committed_last = {5}, .tracked = {2, 5, 7}});
  EXPECT_THAT(query.rows, ElementsAre(2, 5, 7, 6, 8));
  EXPECT_EQ(query.num_tracked, 3);
  EXPECT_THAT(query.eligible, ElementsAre(6, 7, 8));
}

constexpr PolicyParams kHorizon4 = {.window = 3, .horizon = 4};  // in strides of 2

TEST(HorizonPolicy, BeginsWithTheCanvasAsFarAsItsHorizon) {
  Snapshot snapshot{.step = 0, .block_end = 16, .committed_last = {}, .tracked = {}};
  snapshot.masked = range(4, 16);
  const StepQuery query = ask("horizon", snapshot, kHorizon4);
  EXPECT_EQ(query.refresh, Refresh::kFull);
  EXPECT_THAT(query.eligible, ElementsAre(4, 5, 6));
  EXPECT_EQ(reach_of(snapshot, kHorizon4), 8);
  EXPECT_EQ(reach_of(snapshot, {.horizon = 5}), 10) << "in strides of 2";
  EXPECT_EQ(reach_of(snapshot, {.horizon = 1}), 5);
  EXPECT_EQ(reach_of(snapshot, {.horizon = 12}), 16);
  EXPECT_EQ(reach_of(snapshot, {.horizon = std::numeric_limits<int>::max()}), 16);
}

TEST(HorizonPolicy, IsElasticWhileItsReachStays) {
  Snapshot snapshot{.block_end = 16};  // from 6 on; 5 was the first before
  const StepQuery query = ask("horizon", snapshot, kHorizon4);
  EXPECT_EQ(reach_of(snapshot, kHorizon4), 10);
  EXPECT_EQ(query, ask("elastic", snapshot));
}

TEST(HorizonPolicy, ComputesWhatComesIntoReachAndTestsNoDriftThen) {
  Snapshot snapshot{.block_end = 16, .committed_last = {5, 6}};
  snapshot.masked = range(7, 16);
  const StepQuery query = ask("horizon", snapshot, kHorizon4);
  EXPECT_EQ(reach_of(snapshot, kHorizon4), 12);
  EXPECT_EQ(query.refresh, Refresh::kNone);
  EXPECT_THAT(query.rows, ElementsAre(0, 2, 5, 6, 7, 8, 9, 10, 11));
  EXPECT_EQ(query.num_tracked, 2);
  EXPECT_THAT(query.eligible, ElementsAre(7, 8, 9));
}

TEST(HorizonPolicy, CommitsNothingOutOfReach) {
  const StepQuery query =
      ask("horizon", {.block_end = 16, .masked = {6, 12, 13}}, {.window = 20, .horizon = 4});
  EXPECT_THAT(query.eligible, ElementsAre(6));
}

TEST(HorizonPolicy, SeesASuffixFromTheStart) {
  const Snapshot snapshot{.block_end = 14};
  EXPECT_EQ(reach_of(snapshot, kHorizon4), 16);
  EXPECT_EQ(ask("horizon", snapshot, kHorizon4), ask("elastic", snapshot));
}

TEST(CanvasReach, IsTheWholeCanvasUnderOtherPolicies) {
  for (const Policy* policy : policies()) {
    const PolicyParams params{.policy = policy, .horizon = 1};
    const Position whole = policy->name == "horizon" ? 7 : 16;
    EXPECT_EQ(canvas_reach(params, Snapshot{.block_end = 16}.view()), whole) << policy->name;
  }
}

TEST(IntervalPolicy, ComputesEverythingEveryFewSteps) {
  std::vector<int> full;
  for (int step = 0; step < 10; ++step) {
    const StepQuery query = ask("interval", {.step = step}, {.window = 3, .refresh_every = 4});
    if (query.refresh == Refresh::kFull) {
      full.push_back(step);
    } else {
      EXPECT_EQ(query.refresh, Refresh::kNone);
      EXPECT_THAT(query.rows, ElementsAre(0, 2, 5, 6, 7, 8));
    }
    EXPECT_THAT(query.eligible, ElementsAre(6, 7, 8));
  }
  EXPECT_THAT(full, ElementsAre(0, 4, 8));
}

TEST(DkvPolicy, ComputesWhatWasJustCommittedAndAllMasks) {
  const StepQuery query = ask("dkv", {.step = 3, .masked = {6, 7, 9, 15}});
  EXPECT_EQ(query.refresh, Refresh::kNone);
  EXPECT_THAT(query.rows, ElementsAre(5, 6, 7, 9, 15));
  EXPECT_EQ(query.num_tracked, 0);
  EXPECT_THAT(query.eligible, ElementsAre(6, 7));
}

TEST(DkvPolicy, ComputesEverythingEveryFewSteps) {
  for (int step = 0; step < 10; ++step) {
    const StepQuery query = ask("dkv", {.step = step}, {.refresh_every = 4});
    EXPECT_EQ(query.refresh, step % 4 == 0 ? Refresh::kFull : Refresh::kNone);
    EXPECT_THAT(query.eligible, ElementsAre(6, 7));
  }
}

TEST(FlashPolicy, ComputesEverythingInItsFirstStepOnly) {
  EXPECT_EQ(ask("flash", {.step = 0}).refresh, Refresh::kFull);
  EXPECT_EQ(ask("flash", {.step = 1}).refresh, Refresh::kNone);
  EXPECT_EQ(ask("flash", {.step = 100}).refresh, Refresh::kNone);
}

TEST(FlashPolicy, ComputesFollowedThenCommittedThenMasksBeyondTheWindow) {
  const StepQuery query = ask("flash", {.masked = {6, 7, 8, 9, 12}});
  EXPECT_THAT(query.rows, ElementsAre(0, 2, 5, 6, 7, 8, 9, 12));
  EXPECT_EQ(query.num_tracked, 2);
  EXPECT_THAT(query.eligible, ElementsAre(6, 7, 8));
}

TEST(FlashPolicy, BoundsTheMasksOfAStepUnlessTheWindowIsLarger) {
  const std::vector<Position> masked = range(100, 400);
  for (const int window : {16, 100}) {
    const PolicyParams params{.policy = find_policy("flash"), .window = window};
    SequenceView view;
    view.canvas_length = 400;
    view.step = 2;
    view.masked = masked;
    const StepQuery query = params.policy->query(params, view);
    EXPECT_EQ(query.rows, range(100, 100 + std::max(window, 64)));
    EXPECT_EQ(query.eligible, range(100, 100 + window));
  }
}

TEST(FlashPolicy, FollowsTheMostAttendedOfWhatIsNotMasked) {
  const std::vector<Position> masked = range(100, 400);
  std::vector<float> mass(400);
  std::iota(mass.begin(), mass.end(), 0);
  EXPECT_EQ(find_policy("flash")->follow({}, {mass, 400, masked}), range(36, 100));
}

TEST(Policies, OfEveryNameAreFoundAndNumberedByPlace) {
  std::uint8_t number = 0;
  for (const Policy* policy : policies()) {
    EXPECT_EQ(find_policy(policy->name), policy);
    EXPECT_EQ(policy_number(*policy), number++);
    EXPECT_FALSE(policy->summary.empty());
  }
  EXPECT_EQ(find_policy("Elastic"), nullptr);
  EXPECT_EQ(find_policy(""), nullptr);
}

TEST(Policies, KeepTheirNumbersOnTheWire) {
  std::vector<std::string_view> names;
  for (const Policy* policy : policies()) names.push_back(policy->name);
  names.resize(7);  // further ones come behind
  EXPECT_THAT(names, ElementsAre("none", "prefix", "dual", "elastic", "interval", "dkv", "flash"));
}

TEST(Policies, KeepTheirPromisesOfAnySnapshot) {
  std::mt19937 random(1);
  const auto below = [&](int n) { return static_cast<int>(random() % n); };
  for (int round = 0; round < 2000; ++round) {
    Snapshot snapshot{.step = below(6), .step_in_block = below(3)};
    snapshot.block_begin = 4 + 4 * below(3);
    snapshot.block_end = snapshot.block_begin + 4;
    snapshot.masked.clear();
    snapshot.committed_last.clear();
    for (Position p = 4; p < 16; ++p) {
      const int what = p < snapshot.block_begin ? 0 : below(3);
      if (what == 1) snapshot.masked.push_back(p);
      if (what == 2 && below(2) == 0) snapshot.committed_last.push_back(p);
    }
    snapshot.tracked.clear();
    for (Position p = 0; p < 16; ++p) {
      if (below(4) == 0) snapshot.tracked.push_back(p);
    }
    for (const Policy* policy : policies()) {
      const StepQuery query = ask(policy->name.data(), snapshot, {.window = 1 + below(20)});
      const std::set<Position> rows(query.rows.begin(), query.rows.end());
      const bool runs_reuse_pass = query.refresh != Refresh::kFull;
      EXPECT_EQ(rows.size(), query.rows.size()) << policy->name << ": a row is named twice";
      EXPECT_TRUE(std::ranges::is_sorted(query.eligible)) << policy->name;
      EXPECT_TRUE(std::ranges::includes(snapshot.masked, query.eligible)) << policy->name;
      EXPECT_TRUE(policy->by_block || query.eligible.empty() == snapshot.masked.empty());
      EXPECT_TRUE(!runs_reuse_pass || std::ranges::includes(rows, query.eligible)) << policy->name;
      EXPECT_EQ(query.num_tracked,
                runs_reuse_pass && policy->tracks() ? std::ssize(snapshot.tracked) : 0);
      EXPECT_TRUE(std::equal(
          query.rows.begin(), query.rows.begin() + query.num_tracked, snapshot.tracked.begin()));
    }
  }
}

TEST(PolicyParams, WithDefaultsAndAPolicyAreValid) {
  EXPECT_TRUE(validate({.policy = find_policy("elastic")}).ok());
}

TEST(DriftMeasure, IsReadByTheNameThatItIsWrittenWith) {
  for (const DriftMeasure measure : {DriftMeasure::kHeads, DriftMeasure::kRows})
    EXPECT_EQ(parse_drift_measure(to_string(measure)), measure);
  EXPECT_EQ(parse_drift_measure("columns"), std::nullopt);
}

TEST(PolicyParams, OutOfRangeAreRefusedByName) {
  const Policy* elastic = find_policy("elastic");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::pair<PolicyParams, const char*> cases[] = {
      {{}, "policy"},
      {{.policy = elastic, .window = 0}, "window"},
      {{.policy = elastic, .window = (1 << 20) + 1}, "window"},
      {{.policy = elastic, .gamma = -0.1}, "gamma"},
      {{.policy = elastic, .gamma = 2.1}, "gamma"},
      {{.policy = elastic, .gamma = nan}, "gamma"},
      {{.policy = elastic, .track = 0}, "track"},
      {{.policy = elastic, .track = 33}, "track"},
      {{.policy = elastic, .refresh_every = 0}, "refresh_every"},
      {{.policy = elastic, .block_length = -1}, "block_length"},
      {{.policy = elastic, .horizon = 0}, "horizon"},
  };
  for (const auto& [params, name] : cases) {
    const Status status = validate(params);
    ASSERT_FALSE(status.ok()) << name;
    EXPECT_EQ(status.error().code, Code::kInvalidArgument);
    EXPECT_EQ(status.error().param, name);
  }
}

}  // namespace
}  // namespace rubato
