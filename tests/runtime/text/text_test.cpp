#include <gtest/gtest.h>

#include <algorithm>
#include <span>

#include "runtime/text/chat_template.h"
#include "runtime/text/incremental_decoder.h"
#include "runtime/text/tokenizer.h"

namespace rubato {
namespace {

constexpr const char* kModel = RUBATO_SOURCE_DIR "/models/llada-tiny";

Tokenizer load_tokenizer() {
  return Tokenizer::load(std::string(kModel) + "/tokenizer.json").value();
}

TEST(Tokenizer, DecodesWhatItEncoded) {
  const Tokenizer tokenizer = load_tokenizer();
  const std::string text = "def f(a, b):\n    return a + b  # é, 漢字, 🎈\n";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text), /*skip_special=*/true), text);
}

TEST(Tokenizer, TreatsSpecialTokensInTextAsText) {
  const Tokenizer tokenizer = load_tokenizer();
  for (const TokenId id : tokenizer.encode("<|endoftext|>")) EXPECT_FALSE(tokenizer.is_special(id));
}

TEST(Tokenizer, IsQuickOnAVeryLongWord) {
  const Tokenizer tokenizer = load_tokenizer();
  EXPECT_FALSE(tokenizer.encode(std::string(200000, 'a')).empty());
}

TEST(Tokenizer, ReplacesWhatIsNotUtf8) {
  const Tokenizer tokenizer = load_tokenizer();
  EXPECT_EQ(tokenizer.encode("a\xff"), tokenizer.encode("a\xef\xbf\xbd"));
}

TEST(Tokenizer, NamesAFileThatIsNotThere) {
  const auto loaded = Tokenizer::load("/nowhere/tokenizer.json");
  ASSERT_FALSE(loaded.ok());
  EXPECT_NE(loaded.error().message.find("/nowhere/tokenizer.json"), std::string::npos);
}

TEST(IncrementalDecoder, NeverEndsWithinACharacter) {
  const Tokenizer tokenizer = load_tokenizer();
  const std::string text = "a🎈é漢";
  IncrementalDecoder decoder(tokenizer, /*skip_special=*/true);
  std::string joined;
  for (const TokenId id : tokenizer.encode(text)) {
    const std::string piece = decoder.push(id);
    EXPECT_EQ(to_valid_utf8(piece), piece);
    joined += piece;
  }
  EXPECT_EQ(joined + decoder.flush(), text);
}

TEST(IncrementalDecoder, GivesAReplacementForACharacterThatNeverEnds) {
  const Tokenizer tokenizer = load_tokenizer();
  std::vector<TokenId> ids = tokenizer.encode("🎈");
  ASSERT_GT(ids.size(), 1u);
  ids.pop_back();
  IncrementalDecoder decoder(tokenizer, /*skip_special=*/true);
  std::string joined;
  for (const TokenId id : ids) joined += decoder.push(id);
  EXPECT_EQ(joined + decoder.flush(), tokenizer.decode(ids, true));
}

TEST(ChatTemplate, WritesLladasFormat) {
  const Tokenizer tokenizer = load_tokenizer();
  const auto chat = ChatTemplate::load(kModel, tokenizer);
  ASSERT_TRUE(chat.ok()) << chat.error().message;
  const ChatMessage message{"user", "  Hi <|eot_id|>\n"};
  const std::vector<TokenId> ids = chat->encode(tokenizer, std::span(&message, 1));
  EXPECT_EQ(tokenizer.decode(ids, /*skip_special=*/false),
            "<|startoftext|><|start_header_id|>user<|end_header_id|>\n\nHi <|eot_id|><|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(std::ranges::count(ids, chat->end_of_turn()), 1);  // the one in the text is text
}

TEST(ChatTemplate, RefusesANameItDoesNotKnow) {
  EXPECT_FALSE(ChatTemplate::named("chatml", load_tokenizer()).ok());
}

}  // namespace
}  // namespace rubato
