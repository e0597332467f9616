#include "cache/drift.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace rubato {
namespace {

TEST(ClampedCosine, IsTheCosineOfOrdinaryVectors) {
  EXPECT_DOUBLE_EQ(clamped_cosine(24, 9, 64), 1);
  EXPECT_DOUBLE_EQ(clamped_cosine(-24, 9, 64), -1);
  EXPECT_DOUBLE_EQ(clamped_cosine(0, 9, 64), 0);
}

TEST(ClampedCosine, ClampsEachNormOnItsOwn) {
  EXPECT_DOUBLE_EQ(clamped_cosine(1e-20, 1e-20, 1e-20), 1e-20 / (1e-8 * 1e-8));
  EXPECT_DOUBLE_EQ(clamped_cosine(1e-10, 1e-20, 1), 1e-10 / 1e-8);
  EXPECT_DOUBLE_EQ(clamped_cosine(1e-10, 1, 1e-20), 1e-10 / 1e-8);
}

TEST(ClampedCosine, OfNothingAtAllIsZero) {
  EXPECT_DOUBLE_EQ(clamped_cosine(0, 0, 0), 0);
  EXPECT_DOUBLE_EQ(clamped_cosine(0, 0, 1), 0);
}

TEST(DriftSums, TakeThreeNumbersForEachPairOrOneForEachLayer) {
  EXPECT_EQ(drift_sums_size(DriftMeasure::kHeads, 5, 7), 105);
  EXPECT_EQ(drift_sums_size(DriftMeasure::kHeads, 100'000, 100'000), 30'000'000'000);
  EXPECT_EQ(drift_sums_size(DriftMeasure::kRows, 5, 7), 1);
}

/// Attention [heads][tracked][keys] at random, small values among them.
std::vector<float> random_attention(std::mt19937& random, int heads, int tracked, int keys) {
  std::uniform_real_distribution<float> exponent(-12, 0);
  std::vector<float> attention(static_cast<std::size_t>(heads) * tracked * keys);
  for (float& value : attention) value = std::pow(10.0F, exponent(random));
  return attention;
}

TEST(DriftSimilarity, OfHeadsIsTheMeanCosineOverHeadsOfEveryPair) {
  std::mt19937 random(3);
  const int heads = 4, tracked = 3, keys = 9, pairs = tracked * keys;
  const std::vector<float> before = random_attention(random, heads, tracked, keys);
  const std::vector<float> after = random_attention(random, heads, tracked, keys);
  std::vector<float> sums(3 * pairs);
  double expected = 0;
  for (int pair = 0; pair < pairs; ++pair) {
    double dot = 0, old_squared = 0, new_squared = 0;
    for (int head = 0; head < heads; ++head) {
      const double a = before[head * pairs + pair], b = after[head * pairs + pair];
      dot += a * b;
      old_squared += a * a;
      new_squared += b * b;
    }
    sums[pair] = static_cast<float>(dot);
    sums[pairs + pair] = static_cast<float>(old_squared);
    sums[2 * pairs + pair] = static_cast<float>(new_squared);
    expected +=
        dot / (std::max(std::sqrt(old_squared), 1e-8) * std::max(std::sqrt(new_squared), 1e-8));
  }
  EXPECT_NEAR(
      drift_similarity(DriftMeasure::kHeads, sums, tracked, keys, heads), expected / pairs, 1e-6);
}

TEST(DriftSimilarity, OfRowsIsTheMeanOverHeadsAndTrackedRows) {
  const std::vector<float> sums = {9};
  EXPECT_DOUBLE_EQ(drift_similarity(DriftMeasure::kRows, sums, 3, 100, 4), 0.75);
}

TEST(DriftSimilarity, OfUnchangedAttentionIsOne) {
  std::mt19937 random(4);
  const std::vector<float> attention = random_attention(random, 1, 5, 20);
  EXPECT_NEAR(sum_of_row_cosines(attention, attention, 5), 5, 1e-12);
}

TEST(RowCosines, AreTakenOverTheKeysOfEachRow) {
  const std::vector<float> before = {1, 0, 0, 1}, after = {1, 0, 1, 0};
  EXPECT_DOUBLE_EQ(sum_of_row_cosines(before, after, 2), 1);
  EXPECT_DOUBLE_EQ(sum_of_row_cosines(before, after, 1), 0.5);
}

TEST(DriftBoundary, IsBehindTheLowestLayerUnderGamma) {
  EXPECT_EQ(drift_boundary(std::vector{0.95, 0.8, 0.99, 0.1}, 0.9), 2);
  EXPECT_EQ(drift_boundary(std::vector{0.1, 0.1, 0.1, 0.1}, 0.9), 1);
}

TEST(DriftBoundary, IsNoneWhereNoLayerIsUnderGamma) {
  EXPECT_EQ(drift_boundary(std::vector{0.95, 0.9, 0.99}, 0.9), std::nullopt);
}

TEST(DriftBoundary, IsNoneWhereOnlyTheLastLayerIs) {
  EXPECT_EQ(drift_boundary(std::vector{0.95, 0.95, 0.1}, 0.9), std::nullopt);
  EXPECT_EQ(drift_boundary(std::vector{0.1}, 0.9), std::nullopt);
}

TEST(DriftBoundary, IsNoneWhereNothingWasTested) {
  EXPECT_EQ(drift_boundary({}, 2), std::nullopt);
}

TEST(DriftBoundary, IsOneForAGammaAboveOne) {
  EXPECT_EQ(drift_boundary(std::vector{1.0, 1.0, 1.0}, 1.1), 1);
}

}  // namespace
}  // namespace rubato
