#include "runtime/text/pre_tokenizer.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace rubato
