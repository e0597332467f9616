#include "runtime/model/float8.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace rubato {
namespace {

constexpr int kNaNBits = 0x7f;

/// What the bits say, by the format's definition: a sign, four bits of exponent, three of fraction.
double meaning(int bits) {
  const int exponent = bits >> 3 & 15, fraction = bits & 7;
  const double size =
      exponent == 0 ? std::ldexp(fraction / 8.0, -6) : std::ldexp(1 + fraction / 8.0, exponent - 7);
  return (bits & 0x80) != 0 ? -size : size;
}

TEST(Float8, HoldsWhatTheFormatSays) {
  for (const float scale : {1.0f, 0.125f, 0x1p-20f}) {
    for (int bits = 0; bits < 256; ++bits) {
      if ((bits & kNaNBits) == kNaNBits) continue;
      const float value = from_float8(static_cast<std::uint8_t>(bits), scale);
      ASSERT_EQ(value, meaning(bits) * scale) << bits;
      ASSERT_EQ(to_float8(value, scale), bits);
    }
  }
}

TEST(Float8, RoundsToTheNearestAndTiesToEven) {
  for (int bits = 0; bits < 0x7e; ++bits) {
    const auto low = static_cast<float>(meaning(bits)),
               high = static_cast<float>(meaning(bits + 1));
    const float middle = (low + high) / 2;
    const int even = bits % 2 == 0 ? bits : bits + 1;
    EXPECT_EQ(to_float8(middle, 1), even);
    EXPECT_EQ(to_float8(-middle, 1), even | 0x80);
    EXPECT_EQ(to_float8(std::nextafter(middle, 0.0f), 1), bits);
    EXPECT_EQ(to_float8(std::nextafter(middle, high), 1), bits + 1);
  }
}

TEST(Float8, AScaleIsThePowerOfTwoThatBringsTheLargestNearestTo448) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<float> exponents(-40, 20);
  std::vector<float> values = {448, 448.5f, 224, 224.5f, 1, 0.02f};
  for (int i = 0; i < 1000; ++i) values.push_back(std::exp2(exponents(random)));
  for (const float largest : values) {
    const float scale = float8_scale(largest);
    int exponent = 0;
    EXPECT_EQ(std::frexp(scale, &exponent), 0.5f) << largest;
    EXPECT_LE(largest / scale, 448) << largest;
    EXPECT_GT(largest / scale, 224) << largest;
  }
  EXPECT_EQ(float8_scale(0), 1);
}

}  // namespace
}  // namespace rubato
