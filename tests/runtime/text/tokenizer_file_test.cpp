// tokenizer.json files that must not load, and what the error says.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/runtime/text/small_tokenizer.h"
#include "tests/support/temporary_folder.h"

namespace rubato {
namespace {

using ::testing::HasSubstr;

/// The error of loading such a file; empty if it loads.
std::string error_of(const std::string& json) {
  const testing::TemporaryFolder folder;
  const auto file = folder.path() / "tokenizer.json";
  std::ofstream(file, std::ios::binary) << json;
  const auto loaded = Tokenizer::load(file);
  if (loaded.ok()) return {};
  EXPECT_EQ(loaded.error().code, Code::kInvalidArgument);
  EXPECT_THAT(loaded.error().message, HasSubstr("tokenizer.json"));
  return loaded.error().message;
}

std::string error_with(std::string_view from, std::string_view to) {
  return error_of(testing::small_tokenizer_json(from, to));
}

TEST(TokenizerFile, LoadsWhenNothingIsWrong) {
  EXPECT_EQ(error_with("", ""), "");
}

TEST(TokenizerFile, MustBeAWholeJsonObject) {
  const std::string whole = testing::small_tokenizer_json();
  EXPECT_THAT(error_of(whole.substr(0, whole.size() / 2)), HasSubstr("not JSON"));
  EXPECT_THAT(error_of(""), HasSubstr("not JSON"));
  EXPECT_THAT(error_of("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(error_of("{}"), HasSubstr("pre_tokenizer is missing"));
  EXPECT_NE(error_of(std::string(100'000, '[')), "");
}

TEST(TokenizerFile, MayNotNormalise) {
  EXPECT_THAT(error_with(R"("normalizer":null)", R"("normalizer":{"type":"NFC"})"),
              HasSubstr("normalizer is set; it is not supported"));
}

TEST(TokenizerFile, NeedsAPreTokenizerThatIsSupported) {
  EXPECT_THAT(error_with(R"("Split")", R"("Metaspace")"), HasSubstr("'Metaspace'"));
  EXPECT_THAT(error_with(R"("ByteLevel")", R"("Digits")"), HasSubstr("'Digits'"));
  EXPECT_THAT(error_with(R"("Isolated")", R"("Removed")"), HasSubstr("'Removed'"));
  EXPECT_THAT(error_with(R"("invert":false)", R"("invert":true)"), HasSubstr("invert"));
  EXPECT_THAT(error_with(R"("use_regex":false)", R"("use_regex":true)"), HasSubstr("use_regex"));
  EXPECT_THAT(error_with(R"("add_prefix_space":false)", R"("add_prefix_space":true)"),
              HasSubstr("add_prefix_space"));
  EXPECT_THAT(error_with(R"("pretokenizers")", R"("other")"), HasSubstr("pretokenizers"));
}

TEST(TokenizerFile, NeedsAPatternThatCompiles) {
  EXPECT_THAT(error_with("'(?i:", "((?i:"), HasSubstr("regular expression, at character"));
}

TEST(TokenizerFile, NeedsAByteLevelBpe) {
  EXPECT_THAT(error_with(R"("BPE")", R"("Unigram")"), HasSubstr("'Unigram'"));
  EXPECT_THAT(error_with(R"("BPE")", R"("BPE","byte_fallback":true)"), HasSubstr("byte_fallback"));
  EXPECT_THAT(error_with(R"("BPE")", R"("BPE","dropout":0.1)"), HasSubstr("dropout"));
  EXPECT_THAT(error_with("\"A\":", "\"AA\":"), HasSubstr("no token for byte 65"));
  EXPECT_THAT(error_with("\"A\":", "\"\xe2\x82\xac\":"), HasSubstr("byte-level characters"));
}

TEST(TokenizerFile, NeedsIdsThatAreSmallNumbers) {
  EXPECT_THAT(error_with(":259}", ":-1}"), HasSubstr("the id of token 'hello'"));
  EXPECT_THAT(error_with(":259}", ":1.5}"), HasSubstr("the id of token 'hello'"));
  EXPECT_THAT(error_with(":259}", ":\"259\"}"), HasSubstr("the id of token 'hello'"));
  EXPECT_THAT(error_with(":259}", ":2147483647}"), HasSubstr("the id of token 'hello'"));
}

TEST(TokenizerFile, NeedsMergesOfTokensItHas) {
  EXPECT_THAT(error_with("\"he ll\"", "\"he lll\""), HasSubstr("merges[2]"));
  EXPECT_THAT(error_with("\"he ll\"", "\"hell\""), HasSubstr("model.merges"));
  EXPECT_THAT(error_with("\"he ll\"", "[\"he\"]"), HasSubstr("model.merges"));
  EXPECT_THAT(error_with("\"he ll\"", "7"), HasSubstr("model.merges"));
}

TEST(TokenizerFile, NeedsAddedTokensThatAreSpecial) {
  EXPECT_THAT(error_with(R"("special":true)", R"("special":false)"),
              HasSubstr("'<|startoftext|>' is not special"));
  EXPECT_THAT(error_with(R"("content")", R"("text")"), HasSubstr("added_tokens.content"));
  EXPECT_THAT(error_with(R"("added_tokens":[)", R"("added_tokens":[7,)"),
              HasSubstr("added_tokens"));
}

}  // namespace
}  // namespace rubato
