#include "runtime/text/tokenizer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>
#include <utility>

#include "tests/runtime/text/small_tokenizer.h"
#include "tests/support/temporary_folder.h"

namespace rubato {
namespace {

constexpr int kLong = 200'000;

std::string repeated(std::string_view part, int characters) {
  std::string text;
  for (int i = 0; i < characters; ++i) text += part;
  return text;
}

TEST(Tokenizer, MergesByRankWhateverTheSpellingOfTheMerges) {
  const Tokenizer tokenizer = testing::small_tokenizer();
  EXPECT_EQ(tokenizer.encode("hello"), std::vector<TokenId>{259});
  EXPECT_EQ(tokenizer.encode("hell"), std::vector<TokenId>{258});
  EXPECT_EQ(tokenizer.encode("hellhe"), (std::vector<TokenId>{258, 256}));
}

TEST(Tokenizer, GivesNoIdsForNoText) {
  EXPECT_TRUE(testing::small_tokenizer().encode("").empty());
}

TEST(Tokenizer, KnowsItsTokens) {
  const Tokenizer tokenizer = testing::small_tokenizer();
  EXPECT_EQ(tokenizer.vocabulary_size(), 266);
  EXPECT_EQ(tokenizer.token_to_id("<|startoftext|>"), 260);
  EXPECT_EQ(tokenizer.token_to_id("hello"), 259);
  EXPECT_EQ(tokenizer.token_to_id("nothing"), std::nullopt);
  EXPECT_EQ(tokenizer.token_bytes(259), "hello");
  EXPECT_EQ(tokenizer.token_bytes(266), "");
  EXPECT_TRUE(tokenizer.is_special(260));
  EXPECT_FALSE(tokenizer.is_special(259));
  EXPECT_FALSE(tokenizer.is_special(-1));
}

TEST(Tokenizer, WorksAfterAMove) {
  Tokenizer first = testing::small_tokenizer();
  const Tokenizer second = std::move(first);
  EXPECT_EQ(second.encode("hello"), std::vector<TokenId>{259});
}

Tokenizer load(const std::string& json) {
  const testing::TemporaryFolder folder;
  const auto file = folder.path() / "tokenizer.json";
  std::ofstream(file) << json;
  return Tokenizer::load(file).value();
}

TEST(Tokenizer, FramesATextOnlyWhenAskedTo) {
  const Tokenizer tokenizer = load(testing::small_tokenizer_json(
      R"("normalizer":null)",
      R"("post_processor":{"type":"Sequence","processors":[{"type":"ByteLevel"},)"
      R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},)"
      R"({"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"</s>","type_id":0}}],)"
      R"("special_tokens":{"<s>":{"ids":[260,263]},"</s>":{"ids":[265]}}}]})"));
  EXPECT_EQ(tokenizer.encode("hello"), std::vector<TokenId>{259});
  EXPECT_EQ(tokenizer.encode_framed("hello"), (std::vector<TokenId>{260, 263, 259, 265}));
  EXPECT_EQ(tokenizer.encode_framed(""), (std::vector<TokenId>{260, 263, 265}));
  EXPECT_EQ(testing::small_tokenizer().encode_framed("hello"), std::vector<TokenId>{259});
}

TEST(Tokenizer, NormalisesFormByFormAndAfterItReplacedWhatIsNotUtf8) {
  const Tokenizer tokenizer = load(testing::small_tokenizer_json(
      R"("normalizer":null)",
      R"("normalizer":{"type":"Sequence","normalizers":[{"type":"NFKD"},{"type":"NFC"}]})"));
  const Tokenizer plain = testing::small_tokenizer();
  EXPECT_EQ(tokenizer.encode("e\u0301\ufb01"),
            plain.encode("\u00e9"
                         "fi"));
  EXPECT_EQ(tokenizer.encode("\xff\u0301"), plain.encode("\ufffd\u0301"));
}

// Long runs of one kind are where a regular expression runs out of stack or into its match limit,
// and where merging in quadratic time would not end.
TEST(Tokenizer, RoundTripsLongRunsOfOneKind) {
  const Tokenizer tokenizer = testing::small_tokenizer();
  for (const char* part : {"hello",
                           "l",
                           " ",
                           "\n",
                           "\r\n",
                           " \n",
                           "\t",
                           "1",
                           "!",
                           "! \n",
                           "'s",
                           "\xc3\xa9",
                           "\xf0\x9f\x98\x80",
                           "\xe3\x80\x80",
                           "a b "}) {
    const std::string text = repeated(part, kLong);
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text), true), text) << "run of '" << part << "'";
    const std::string ended = text + "x";
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(ended), true), ended) << "run of '" << part << "'";
  }
}

TEST(Tokenizer, EncodesOnManyThreadsAtOnce) {
  const Tokenizer tokenizer = testing::small_tokenizer();
  const std::string text = repeated("hello, world 12 ", 500);
  const std::vector<TokenId> expected = tokenizer.encode(text);
  std::vector<std::vector<TokenId>> found(4);
  {
    std::vector<std::jthread> threads;
    for (auto& ids : found) threads.emplace_back([&] { ids = tokenizer.encode(text); });
  }
  for (const auto& ids : found) EXPECT_EQ(ids, expected);
}

}  // namespace
}  // namespace rubato
