#include "cache/slots.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace rubato {
namespace {

TEST(SlotAllocator, HandsOutNeighbouringRanges) {
  SlotAllocator slots(100);
  EXPECT_EQ(slots.allocate(30), 0);
  EXPECT_EQ(slots.allocate(20), 30);
  EXPECT_EQ(slots.used(), 50);
  EXPECT_EQ(slots.capacity(), 100);
}

TEST(SlotAllocator, GivesNothingWhereNoRangeIsLongEnough) {
  SlotAllocator slots(10);
  EXPECT_EQ(slots.allocate(11), std::nullopt);
  EXPECT_EQ(slots.allocate(6), 0);
  EXPECT_EQ(slots.allocate(5), std::nullopt);
  EXPECT_EQ(slots.allocate(4), 6);
  EXPECT_EQ(slots.allocate(1), std::nullopt);
}

TEST(SlotAllocator, ReusesTheFirstFreeRangeThatFits) {
  SlotAllocator slots(100);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(slots.allocate(20), 20 * i);
  slots.release(0);
  slots.release(40);
  EXPECT_EQ(slots.allocate(20), 0);
  EXPECT_EQ(slots.allocate(10), 40);
  EXPECT_EQ(slots.allocate(20), 80);
}

TEST(SlotAllocator, MergesFreedNeighboursInAnyOrder) {
  for (const auto& order :
       {std::vector{0, 10, 20}, std::vector{20, 10, 0}, std::vector{0, 20, 10}}) {
    SlotAllocator slots(30);
    for (int i = 0; i < 3; ++i) ASSERT_EQ(slots.allocate(10), 10 * i);
    for (const int begin : order) slots.release(begin);
    EXPECT_EQ(slots.used(), 0);
    EXPECT_EQ(slots.allocate(30), 0);
  }
}

TEST(SlotAllocatorDeathTest, EndsTheProcessOnARangeItDidNotGive) {
  SlotAllocator slots(30);
  ASSERT_EQ(slots.allocate(10), 0);
  EXPECT_DEATH(slots.release(5), "row 5 is no slot's first");
  slots.release(0);
  EXPECT_DEATH(slots.release(0), "row 0 is no slot's first");
}

TEST(SlotAllocator, KeepsRangesApartAndLosesNothing) {
  constexpr std::int64_t kCapacity = 500;
  std::mt19937 random(17);
  SlotAllocator slots(kCapacity);
  std::map<std::int64_t, std::int64_t> taken;  // begin -> length
  std::int64_t used = 0;
  for (int round = 0; round < 20'000; ++round) {
    if (random() % 2 == 0 && !taken.empty()) {
      const auto victim = std::next(taken.begin(), static_cast<int>(random() % taken.size()));
      slots.release(victim->first);
      used -= victim->second;
      taken.erase(victim);
    } else {
      const auto length = static_cast<std::int64_t>(1 + random() % 60);
      const auto begin = slots.allocate(length);
      std::int64_t gap = 0, behind = 0;  // the longest free range
      for (const auto& [other, other_length] : taken) {
        gap = std::max(gap, other - behind);
        behind = other + other_length;
      }
      gap = std::max(gap, kCapacity - behind);
      ASSERT_EQ(begin.has_value(), gap >= length);
      if (begin) {
        used += length;
        ASSERT_TRUE(taken.emplace(*begin, length).second);
      }
    }
    ASSERT_EQ(slots.used(), used);
    std::int64_t end = 0;
    for (const auto& [begin, length] : taken) {
      ASSERT_GE(begin, end);
      end = begin + length;
    }
    ASSERT_LE(end, kCapacity);
  }
}

}  // namespace
}  // namespace rubato
