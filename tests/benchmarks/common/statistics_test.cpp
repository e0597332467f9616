#include "benchmarks/common/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace rubato {
namespace {

TEST(Median, IsTheMiddleOrTheMeanOfTheTwoMiddleValues) {
  EXPECT_EQ(median({5, 1, 3}), 3);
  EXPECT_EQ(median({4, 1, 3, 100}), 3.5);
  EXPECT_EQ(median({}), 0);
}

// Expected values worked out apart, from the formula as published.
TEST(WilsonInterval, IsTheTextbooks) {
  const Interval nine = wilson_interval(9, 10);
  EXPECT_NEAR(nine.low, 0.595850, 1e-6);
  EXPECT_NEAR(nine.high, 0.982124, 1e-6);
  const Interval many = wilson_interval(181, 200);
  EXPECT_NEAR(many.low, 0.856398, 1e-6);
  EXPECT_NEAR(many.high, 0.938337, 1e-6);
}

TEST(WilsonInterval, StaysWithinZeroAndOneAndIsNotEmptyAtTheEnds) {
  EXPECT_NEAR(wilson_interval(0, 10).low, 0, 1e-12);
  EXPECT_NEAR(wilson_interval(0, 10).high, 0.277533, 1e-6);
  EXPECT_NEAR(wilson_interval(10, 10).high, 1, 1e-12);
  EXPECT_NEAR(wilson_interval(10, 10).low, 0.722467, 1e-6);
  EXPECT_EQ(wilson_interval(0, 0), (Interval{0, 1}));
}

TEST(Growth, OfAPowerIsThatPower) {
  const std::vector<double> sizes = {256, 512, 1024, 4096};
  std::vector<double> costs;
  for (const double size : sizes) costs.push_back(3e-4 * size * std::sqrt(size));
  const auto growth = fit_growth(sizes, costs);
  ASSERT_TRUE(growth);
  EXPECT_NEAR(growth->exponent, 1.5, 1e-9);
  EXPECT_NEAR(growth->factor, 3e-4, 1e-12);
}

TEST(Growth, NeedsTwoDifferentSizes) {
  EXPECT_FALSE(fit_growth({}, {}));
  EXPECT_FALSE(fit_growth(std::vector{256.0}, std::vector{1.0}));
  EXPECT_FALSE(fit_growth(std::vector{256.0, 256.0}, std::vector{1.0, 2.0}));
}

}  // namespace
}  // namespace rubato
