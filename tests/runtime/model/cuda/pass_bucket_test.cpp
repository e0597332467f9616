#include "runtime/model/cuda/pass_bucket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace rubato::cuda {
namespace {

using ::testing::Each;

constexpr int kLayers = 3, kHeads = 2;

/// A reuse pass of some sequences, each of so many rows, of which all but the tracked are eligible.
class PassBucketTest : public ::testing::Test {
 protected:
  struct Asked {
    std::vector<int> rows;
    int canvas = 40;
    int tracked = 0;
    bool track = false;
  };

  PassLists lists;
  SumLists sums;

  std::optional<PassBucket> lay_out(const Asked& asked) {
    canvas_.assign(asked.canvas, 7);
    std::vector<StepSequence> sequences;
    for (const int rows : asked.rows) {
      StepSequence s;
      s.slot_begin = std::ssize(sequences) * asked.canvas;
      s.canvas = canvas_;
      s.track = asked.track;
      s.query.refresh = asked.tracked > 0 ? Refresh::kByDrift : Refresh::kNone;
      s.query.rows.resize(rows);
      std::iota(s.query.rows.begin(), s.query.rows.end(), 0);
      s.query.num_tracked = asked.tracked;
      s.query.eligible.assign(s.query.rows.begin() + asked.tracked, s.query.rows.end());
      sequences.push_back(std::move(s));
    }
    lists = reuse_lists(sequences);
    sums = reuse_sums(sequences, lists, kLayers, kHeads);
    return bucket_of(lists, sums);
  }

 private:
  std::vector<TokenId> canvas_;
};

TEST_F(PassBucketTest, PassesOfOneBucketHaveListsOfOneSize) {
  const Asked one{.rows = {5, 6, 5}, .canvas = 150, .tracked = 2, .track = true};
  const Asked other{.rows = {2, 2, 3, 3}, .canvas = 200, .tracked = 1, .track = true};
  const auto bucket = lay_out(one);
  ASSERT_TRUE(bucket.has_value());
  fill_up(*bucket, lists, sums);
  const PassLists first = lists;
  const SumLists first_sums = sums;
  ASSERT_EQ(lay_out(other), bucket);
  fill_up(*bucket, lists, sums);
  EXPECT_EQ(lists.cache_rows.size(), first.cache_rows.size());
  EXPECT_EQ(lists.positions.size(), first.positions.size());
  EXPECT_EQ(lists.tokens.size(), first.tokens.size());
  EXPECT_EQ(lists.eligible_rows.size(), first.eligible_rows.size());
  EXPECT_EQ(lists.eligible_cache_rows.size(), first.eligible_cache_rows.size());
  EXPECT_EQ(lists.eligible_out.size(), first.eligible_out.size());
  EXPECT_EQ(lists.tiles.size(), first.tiles.size());
  EXPECT_EQ(lists.last_tiles.size(), first.last_tiles.size());
  EXPECT_EQ(lists.most_splits, first.most_splits);
  EXPECT_EQ(lists.partial_queries, first.partial_queries);
  EXPECT_EQ(sums.jobs.size(), first_sums.jobs.size());
  EXPECT_EQ(sums.most_keys, first_sums.most_keys);
  EXPECT_EQ(sums.most_tracked, first_sums.most_tracked);
  EXPECT_EQ(sums.num_tracked, first_sums.num_tracked);
}

TEST_F(PassBucketTest, WhatFillsABucketStandsNowhere) {
  const auto bucket = lay_out({.rows = {3, 7}, .tracked = 1, .track = true});
  const PassLists before = lists;
  const SumLists sums_before = sums;
  fill_up(*bucket, lists, sums);
  const auto added = [](const auto& list, const auto& old) {
    EXPECT_TRUE(std::equal(old.begin(), old.end(), list.begin()));
    return std::vector(list.begin() + std::ssize(old), list.end());
  };
  EXPECT_EQ(lists.num_rows(), 16);
  EXPECT_THAT(added(lists.cache_rows, before.cache_rows), Each(-1));
  EXPECT_THAT(added(lists.tokens, before.tokens), Each(-1));
  EXPECT_THAT(added(lists.positions, before.positions), Each(0));
  EXPECT_THAT(added(lists.eligible_rows, before.eligible_rows), Each(-1));
  EXPECT_THAT(added(lists.eligible_out, before.eligible_out), Each(-1));
  for (std::size_t i = before.tiles.size(); i < lists.tiles.size(); ++i)
    EXPECT_EQ(lists.tiles[i].num_queries, 0);
  for (std::size_t i = sums_before.jobs.size(); i < sums.jobs.size(); ++i) {
    EXPECT_EQ(sums.jobs[i].num_window, 0);
    EXPECT_EQ(sums.jobs[i].num_tracked, 0);
  }
}

TEST_F(PassBucketTest, ABucketHoldsWhatIsLaidIntoIt) {
  for (const int sequences : {1, 3, 8}) {
    for (const int rows : {1, 17, 63, 64, 65, 130}) {
      for (const int canvas : {130, 200, 1000}) {
        const auto bucket = lay_out(
            {.rows = std::vector(sequences, rows), .canvas = canvas, .tracked = 1, .track = true});
        if (sequences * rows > 512) {
          EXPECT_EQ(bucket, std::nullopt);
          continue;
        }
        EXPECT_GE(bucket->rows, lists.num_rows());
        EXPECT_GE(bucket->tiles, std::ssize(lists.tiles));
        EXPECT_GE(bucket->splits, lists.most_splits);
        EXPECT_GE(bucket->jobs, std::ssize(sums.jobs));
        EXPECT_GE(bucket->keys, sums.most_keys);
        EXPECT_GE(bucket->tracked, sums.most_tracked);
        const std::int64_t partial = lists.partial_queries;
        fill_up(*bucket, lists, sums);
        EXPECT_GE(lists.partial_queries, partial);
      }
    }
  }
}

TEST_F(PassBucketTest, WhatKernelsMustKnowTellsBucketsApart) {
  const auto bucket = lay_out({.rows = {4}, .tracked = 1, .track = true});
  EXPECT_NE(lay_out({.rows = {4}}), bucket);                                  // sums nothing
  EXPECT_NE(lay_out({.rows = {4}, .track = true}), bucket);                   // tests no drift
  EXPECT_NE(lay_out({.rows = {4, 4}, .tracked = 1, .track = true}), bucket);  // more tiles
  EXPECT_NE(lay_out({.rows = {20}, .tracked = 1, .track = true}), bucket);
  EXPECT_NE(lay_out({.rows = {4}, .canvas = 129, .tracked = 1, .track = true}), bucket);
  EXPECT_EQ(lay_out({.rows = {}}), std::nullopt);
}

}  // namespace
}  // namespace rubato::cuda
