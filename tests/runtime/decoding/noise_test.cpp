#include "runtime/decoding/noise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <set>

namespace rubato {
namespace {

using Words = std::array<std::uint32_t, 4>;

// The known answers that come with Random123, the reference implementation.
TEST(Philox, GivesThePublishedAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(GumbelNoise, IsReadOffTheWordsAsDocumented) {
  const std::uint64_t seed = 0x0123456789abcdef;
  const Words words = philox({25, 7, 3, 0}, {0x89abcdef, 0x01234567});
  for (TokenId token = 100; token < 104; ++token) {
    const double uniform = (words[token - 100] + 0.5) / 4294967296.0;
    EXPECT_DOUBLE_EQ(gumbel_noise(seed, 3, 7, token), -std::log(-std::log(uniform)));
  }
}

TEST(GumbelNoise, DiffersWithEveryArgument) {
  std::set<double> seen;
  int count = 0;
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32}) {
    for (int step = 0; step < 3; ++step) {
      for (Position position = 0; position < 3; ++position) {
        for (TokenId token = 0; token < 9; ++token, ++count)
          seen.insert(gumbel_noise(seed, step, position, token));
      }
    }
  }
  EXPECT_EQ(static_cast<int>(seen.size()), count);
}

TEST(GumbelNoise, HasTheDistributionsMeanAndVariance) {
  constexpr int kCount = 200'000;
  double sum = 0, squares = 0;
  for (TokenId token = 0; token < kCount; ++token) {
    const double noise = gumbel_noise(42, 1, 2, token);
    ASSERT_TRUE(std::isfinite(noise));
    sum += noise;
    squares += noise * noise;
  }
  const double mean = sum / kCount, variance = squares / kCount - mean * mean;
  EXPECT_NEAR(mean, std::numbers::egamma, 0.01);
  EXPECT_NEAR(variance, std::numbers::pi * std::numbers::pi / 6, 0.03);
}

TEST(GumbelNoise, PicksTokensAsOftenAsTheirProbability) {
  const std::array<double, 4> probability = {0.1, 0.2, 0.3, 0.4};
  std::array<int, 4> picked{};
  constexpr int kCount = 50'000;
  for (int seed = 0; seed < kCount; ++seed) {
    TokenId best = 0;
    double most = -1e300;
    for (TokenId token = 0; token < 4; ++token) {
      const double noised = std::log(probability[token]) + gumbel_noise(seed, 0, 0, token);
      if (noised > most) most = noised, best = token;
    }
    ++picked[best];
  }
  for (int token = 0; token < 4; ++token)
    EXPECT_NEAR(static_cast<double>(picked[token]) / kCount, probability[token], 0.01);
}

}  // namespace
}  // namespace rubato
