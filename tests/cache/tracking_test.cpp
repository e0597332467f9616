#include "cache/tracking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace rubato {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<Position> by_layer(std::span<const float> mass,
                               Position length,
                               std::span<const Position> masked,
                               int track) {
  return most_attended_by_layer({mass, length, masked}, track);
}

std::vector<Position> overall(std::span<const float> mass,
                              Position length,
                              std::span<const Position> masked,
                              int count) {
  return most_attended_overall({mass, length, masked}, count);
}

TEST(MostAttendedByLayer, TakesEachLayersBestPosition) {
  const std::vector<float> mass = {1,
                                   5,
                                   2,
                                   3,  //
                                   4,
                                   1,
                                   1,
                                   9,  //
                                   0,
                                   7,
                                   0,
                                   0};  // the first layer's again
  EXPECT_THAT(by_layer(mass, 4, {}, 1), ElementsAre(1, 3));
}

TEST(MostAttendedByLayer, CountsMaskedPositionsAsNothing) {
  const std::vector<float> mass = {1, 5, 2, 3};
  EXPECT_THAT(by_layer(mass, 4, std::vector{1, 3}, 1), ElementsAre(2));
}

TEST(MostAttendedByLayer, GivesTiesToTheLowestPosition) {
  const std::vector<float> mass = {1, 2, 2, 2};
  EXPECT_THAT(by_layer(mass, 4, {}, 1), ElementsAre(1));
  EXPECT_THAT(by_layer(mass, 4, {}, 2), ElementsAre(1, 2));
}

TEST(MostAttendedByLayer, TakesMaskedOnesWhereNothingElseIsLeft) {
  const std::vector<float> mass = {0, 5, 2, 3};
  EXPECT_THAT(by_layer(mass, 4, std::vector{1, 2, 3}, 1), ElementsAre(0));
  EXPECT_THAT(by_layer(mass, 4, std::vector{0, 1, 2, 3}, 2), ElementsAre(0, 1));
}

TEST(MostAttendedByLayer, TakesAllWhereMoreAreAskedForThanThereAre) {
  const std::vector<float> mass = {3, 1, 2};
  EXPECT_THAT(by_layer(mass, 3, {}, 100), ElementsAre(0, 1, 2));
}

TEST(MostAttendedByLayer, OfNoLayersIsNothing) {
  EXPECT_THAT(by_layer({}, 4, {}, 1), IsEmpty());
}

TEST(MostAttendedByLayer, EqualsSortingEveryLayer) {
  std::mt19937 random(9);
  for (int round = 0; round < 500; ++round) {
    const auto length = static_cast<Position>(1 + random() % 30);
    const int layers = static_cast<int>(1 + random() % 4),
              track = static_cast<int>(1 + random() % 6);
    std::vector<float> mass(static_cast<std::size_t>(layers) * length);
    for (float& value : mass) value = static_cast<float>(random() % 8);
    std::vector<Position> masked;
    for (Position p = 0; p < length; ++p) {
      if (random() % 3 == 0) masked.push_back(p);
    }
    std::set<Position> expected;
    for (int layer = 0; layer < layers; ++layer) {
      std::vector<std::pair<float, Position>> order;  // the most attended first, then the lowest
      for (Position p = 0; p < length; ++p) {
        const bool is_masked = std::ranges::binary_search(masked, p);
        order.emplace_back(is_masked ? 0 : -mass[layer * length + p], p);
      }
      std::ranges::sort(order);
      for (int i = 0; i < std::min(track, length); ++i) expected.insert(order[i].second);
    }
    EXPECT_EQ(by_layer(mass, length, masked, track),
              std::vector<Position>(expected.begin(), expected.end()));
  }
}

TEST(MostAttendedOverall, AddsUpTheLayers) {
  const std::vector<float> mass = {5,
                                   3,
                                   0,
                                   4,  //
                                   0,
                                   3,
                                   1,
                                   4};
  EXPECT_THAT(overall(mass, 4, {}, 1), ElementsAre(3));
  EXPECT_THAT(overall(mass, 4, {}, 2), ElementsAre(1, 3));
}

TEST(MostAttendedOverall, LeavesMaskedPositionsOut) {
  const std::vector<float> mass = {5, 3, 2, 4};
  EXPECT_THAT(overall(mass, 4, std::vector{0, 3}, 1), ElementsAre(1));
  EXPECT_THAT(overall(mass, 4, std::vector{0, 3}, 9), ElementsAre(1, 2));
  EXPECT_THAT(overall(mass, 4, std::vector{0, 1, 2, 3}, 1), IsEmpty());
}

TEST(MostAttendedOverall, GivesTiesToTheLowestPosition) {
  const std::vector<float> mass = {2, 1, 2, 2};
  EXPECT_THAT(overall(mass, 4, {}, 2), ElementsAre(0, 2));
}

}  // namespace
}  // namespace rubato
