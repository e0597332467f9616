#include "runtime/text/incremental_decoder.h"

#include <gtest/gtest.h>

#include <random>

#include "runtime/text/utf8.h"
#include "tests/runtime/text/small_tokenizer.h"

namespace rubato {
namespace {

/// The ids of single bytes, valid UTF-8 or not.
std::vector<TokenId> byte_ids(const Tokenizer& tokenizer, std::string_view bytes) {
  std::vector<TokenId> ids;
  for (const char byte : bytes) {
    for (TokenId id = 0; id < 256; ++id) {
      if (tokenizer.token_bytes(id) == std::string_view(&byte, 1)) ids.push_back(id);
    }
  }
  return ids;
}

TEST(IncrementalDecoder, HoldsACharacterBackUntilItIsWhole) {
  const Tokenizer tokenizer = testing::small_tokenizer();
  IncrementalDecoder decoder(tokenizer, true);
  const std::vector<TokenId> ids = byte_ids(tokenizer, "\xf0\x9f\x98\x80!");
  ASSERT_EQ(ids.size(), 5u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(decoder.push(ids[i]), "");
  EXPECT_EQ(decoder.push(ids[3]), "\xf0\x9f\x98\x80");
  EXPECT_EQ(decoder.push(ids[4]), "!");
  EXPECT_EQ(decoder.flush(), "");
}

TEST(IncrementalDecoder, ReplacesACharacterThatTheEndCutsOffByOneMark) {
  const Tokenizer tokenizer = testing::small_tokenizer();
  IncrementalDecoder decoder(tokenizer, true);
  for (const TokenId id : byte_ids(tokenizer, "\xf0\x9f\x98")) EXPECT_EQ(decoder.push(id), "");
  EXPECT_EQ(decoder.flush(), kReplacementCharacter);
  EXPECT_EQ(decoder.flush(), "");
}

TEST(IncrementalDecoder, ReplacesInvalidBytesAsPythonDoes) {
  const Tokenizer tokenizer = testing::small_tokenizer();
  const std::string mark(kReplacementCharacter);
  // What bytes.decode("utf-8", errors="replace") gives.
  const std::pair<const char*, std::string> cases[] = {
      {"\x80", mark},
      {"\xc0\xaf", mark + mark},
      {"\xed\xa0\x80", mark + mark + mark},
      {"\xe2\x82"
       "A",
       mark + "A"},
      {"\xf0\x9f\x98"
       "A",
       mark + "A"},
      {"\xf4\x90\x80\x80", mark + mark + mark + mark},
      {"\xe2\x82\xe2\x82\xac", mark + "\xe2\x82\xac"},
      {"\xff"
       "A\xfe",
       mark + "A" + mark}};
  for (const auto& [bytes, expected] : cases) {
    EXPECT_EQ(tokenizer.decode(byte_ids(tokenizer, bytes), true), expected);
  }
}

TEST(IncrementalDecoder, LeavesSpecialTokensOutOnlyWhenAsked) {
  const Tokenizer tokenizer = testing::small_tokenizer();
  const TokenId eot = tokenizer.token_to_id("<|eot_id|>").value();
  EXPECT_EQ(IncrementalDecoder(tokenizer, true).push(eot), "");
  EXPECT_EQ(IncrementalDecoder(tokenizer, false).push(eot), "<|eot_id|>");
}

TEST(IncrementalDecoder, GivesNothingForIdsThatNoTokenHas) {
  const Tokenizer tokenizer = testing::small_tokenizer();
  IncrementalDecoder decoder(tokenizer, false);
  EXPECT_EQ(decoder.push(-1), "");
  EXPECT_EQ(decoder.push(1'000'000), "");
}

TEST(IncrementalDecoder, JoinsToTheDecodingOfAllIdsAndEndsBetweenCharacters) {
  const Tokenizer tokenizer = testing::small_tokenizer();
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    const bool skip_special = round % 2 == 0;
    IncrementalDecoder decoder(tokenizer, skip_special);
    std::vector<TokenId> ids;
    std::string joined;
    for (int i = 0; i < 40; ++i) {
      ids.push_back(static_cast<TokenId>(random() % 270));
      const std::string part = decoder.push(ids.back());
      ASSERT_EQ(to_valid_utf8(part), part);
      joined += part;
    }
    joined += decoder.flush();
    ASSERT_EQ(joined, tokenizer.decode(ids, skip_special));
  }
}

}  // namespace
}  // namespace rubato
