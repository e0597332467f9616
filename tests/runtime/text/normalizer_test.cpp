#include "runtime/text/normalizer.h"

#include <gtest/gtest.h>

#include <array>

namespace rubato {
namespace {

struct Case {
  std::string_view text;
  std::array<std::string_view, 4> forms;  // NFC, NFD, NFKC, NFKD
};

// What unicodedata.normalize gives.
const Case kCases[] = {
    {"", {"", "", "", ""}},
    {"plain\n", {"plain\n", "plain\n", "plain\n", "plain\n"}},
    {"\u00e9", {"\u00e9", "e\u0301", "\u00e9", "e\u0301"}},
    {"e\u0301", {"\u00e9", "e\u0301", "\u00e9", "e\u0301"}},
    {"\u212b", {"\u00c5", "A\u030a", "\u00c5", "A\u030a"}},
    // Marks in the wrong order, and two of one class, which keep theirs.
    {"a\u0301\u0323", {"\u1ea1\u0301", "a\u0323\u0301", "\u1ea1\u0301", "a\u0323\u0301"}},
    {"a\u0302\u0301", {"\u1ea5", "a\u0302\u0301", "\u1ea5", "a\u0302\u0301"}},
    {"a\u0301\u0302", {"\u00e1\u0302", "a\u0301\u0302", "\u00e1\u0302", "a\u0301\u0302"}},
    // Hangul, in arithmetic.
    {"\uac01", {"\uac01", "\u1100\u1161\u11a8", "\uac01", "\u1100\u1161\u11a8"}},
    {"\u1100\u1161\u11a8", {"\uac01", "\u1100\u1161\u11a8", "\uac01", "\u1100\u1161\u11a8"}},
    // Not in the arithmetic, though it comes right before what is.
    {"\uac00\u11a7\u0301",
     {"\uac00\u11a7\u0301",
      "\u1100\u1161\u11a7\u0301",
      "\uac00\u11a7\u0301",
      "\u1100\u1161\u11a7\u0301"}},
    // Excluded from composition.
    {"\u0958", {"\u0915\u093c", "\u0915\u093c", "\u0915\u093c", "\u0915\u093c"}},
    {"\ufb01\u00b2", {"\ufb01\u00b2", "\ufb01\u00b2", "fi2", "fi2"}},
    {"\U0001d49c", {"\U0001d49c", "\U0001d49c", "A", "A"}},
    {"\U0002f800", {"\u4e3d", "\u4e3d", "\u4e3d", "\u4e3d"}},
};

TEST(Normalizer, BringsTextIntoEachForm) {
  constexpr std::array kForms = {
      NormalForm::kNfc, NormalForm::kNfd, NormalForm::kNfkc, NormalForm::kNfkd};
  for (const Case& each : kCases) {
    for (std::size_t i = 0; i < kForms.size(); ++i)
      EXPECT_EQ(normalized(each.text, kForms[i]), each.forms[i]) << each.text << ", form " << i;
  }
}

TEST(Normalizer, KeepsCharactersThatEndAString) {
  const std::string text("e\0\u0301", 4);
  EXPECT_EQ(normalized(text, NormalForm::kNfc), text);
}

TEST(Normalizer, CopesWithTheLongestDecomposition) {
  EXPECT_EQ(normalized("\ufdfa", NormalForm::kNfkd).size(), 33u);  // 18 characters
}

// In quadratic time this would not end.
TEST(Normalizer, OrdersAMillionMarks) {
  std::string text = "a";
  std::string expected = "a";
  constexpr int kPairs = 500'000;
  for (int i = 0; i < kPairs; ++i) text += "\u0301\u0323";
  for (int i = 0; i < kPairs; ++i) expected += "\u0323";
  for (int i = 0; i < kPairs; ++i) expected += "\u0301";
  EXPECT_EQ(normalized(text, NormalForm::kNfd), expected);
}

}  // namespace
}  // namespace rubato
