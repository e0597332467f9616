#include "runtime/text/pre_tokenizer.h"

#include <gtest/gtest.h>

#include "runtime/text/unsplittable_text.h"

namespace rubato {
namespace {

using Pieces = std::vector<std::string_view>;

Pieces split(const std::string& pattern, std::string_view text) {
  auto compiled = PreTokenizer::compile(pattern, /*add_prefix_space=*/false);
  EXPECT_TRUE(compiled.ok());
  return compiled.value()->split(text);
}

TEST(PreTokenizer, GivesMatchesAndWhatLiesBetween) {
  EXPECT_EQ(split("b+", "abba"), (Pieces{"a", "bb", "a"}));
  EXPECT_EQ(split("b*", "ab"), (Pieces{"a", "b"}));
  EXPECT_EQ(split("b", "xyz"), Pieces{"xyz"});
  EXPECT_EQ(split("", "xyz"), Pieces{"xyz"});
  EXPECT_EQ(split("b", ""), Pieces{});
}

TEST(PreTokenizer, CountsUnicodesWhiteSpaceAndNothingElseAsSpace) {
  for (const char* space : {"\t", "\v", "\r", " ", "\u0085", "\u00a0", "\u2028", "\u3000"}) {
    EXPECT_EQ(split(R"(\s)", std::string(space) + "x").size(), 2u);
    EXPECT_EQ(split(R"([\sa])", std::string(space) + "x").size(), 2u);
    EXPECT_EQ(split(R"(\S)", std::string(space) + space).size(), 1u);
  }
  // U+180E is white space to PCRE2's \s, not to Unicode.
  for (const char* other : {"\x1c", "\u180e", "\u200b", "\ufeff"}) {
    EXPECT_EQ(split(R"(\s)", std::string(other) + "x").size(), 1u);
    EXPECT_EQ(split(R"([^\s])", std::string(other) + "x").size(), 2u);
    EXPECT_EQ(split(R"(\S)", std::string(other) + "x").size(), 2u);
    EXPECT_EQ(split(R"([\S])", std::string(other) + "x").size(), 2u);
    EXPECT_EQ(split(R"( (?!\S))", std::string(" ") + other).size(), 1u);
  }
}

TEST(PreTokenizer, LeavesEscapedBackslashesAlone) {
  EXPECT_EQ(split(R"(\\s)", "a\\s b"), (Pieces{"a", "\\s", " b"}));
}

TEST(PreTokenizer, GivesUpOnATextThatTakesTooManySteps) {
  EXPECT_EQ(split("(a+)+[bc]", "aaab").size(), 1u);
  EXPECT_THROW(split("(a+)+[bc]", std::string(40, 'a')), UnsplittableText);
}

TEST(PreTokenizer, TakesAFewStepsAByteForTheWorstTextsOfCommonPatterns) {
  const std::string pattern =
      R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*)"
      R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const std::size_t length = 1 << 20;
  for (const char* unit : {" ", "\n ", "a", "a ", "7", "!", "' ", "\u00e9", "\u3000"}) {
    std::string text;
    while (text.size() < length) text += unit;
    EXPECT_NO_THROW(split(pattern, text + "x")) << unit;
  }
}

TEST(PreTokenizer, ManyGroupsDeepIsInterpretedWhereTheCompiledFormHasNoRoom) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += i % 2 == 0 ? 'a' : 'b';
  EXPECT_EQ(split("(a|b)*c", text + "c").size(), 1u);
}

TEST(PreTokenizer, AnExpressionThatCouldCutACharacterIsRefused) {
  EXPECT_FALSE(PreTokenizer::compile(R"(\C)", false).ok());
}

}  // namespace
}  // namespace rubato
