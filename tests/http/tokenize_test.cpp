#include "http/openai/tokenize.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace rubato {
namespace {

namespace json = boost::json;

class TokenizeTest : public ::testing::Test {
 protected:
  Result<json::object> run(decltype(tokenize)* what, const std::string& body) {
    return what(json::parse(body).as_object(), {model_, tokenizer_, &chat_, defaults_});
  }

  const ServedModel model_{"tiny", 0, 128, 576, 541, {540, 544}};
  const GenerationDefaults defaults_{};
  const Tokenizer tokenizer_ =
      Tokenizer::load(RUBATO_SOURCE_DIR "/models/llada-tiny/tokenizer.json").value();
  const ChatTemplate chat_ = ChatTemplate::named("llada", tokenizer_).value();
};

TEST_F(TokenizeTest, APromptComesBackFromItsTokens) {
  const auto tokens = run(tokenize, R"({"prompt": "12 + 5 = 17 é"})");
  ASSERT_TRUE(tokens.ok()) << tokens.error().message;
  EXPECT_EQ(tokens->at("max_model_len"), 128);
  EXPECT_EQ(tokens->at("count"), tokens->at("tokens").as_array().size());
  EXPECT_EQ(tokens->size(), 3u);
  const auto text =
      run(detokenize, json::serialize(json::object{{"tokens", tokens->at("tokens")}}));
  ASSERT_TRUE(text.ok()) << text.error().message;
  EXPECT_EQ(*text, (json::object{{"prompt", "12 + 5 = 17 é"}}));
}

TEST_F(TokenizeTest, MessagesGoThroughTheChatTemplate) {
  const auto tokens = run(tokenize, R"({"messages": [{"role": "user", "content": "a"}]})");
  ASSERT_TRUE(tokens.ok()) << tokens.error().message;
  const std::vector<ChatMessage> messages{{"user", "a"}};
  const std::vector<TokenId> expected = chat_.encode(tokenizer_, messages);
  EXPECT_EQ(tokens->at("tokens"), json::value(json::array(expected.begin(), expected.end())));
}

TEST_F(TokenizeTest, EachTokensTextIsToldOnDemand) {
  const auto tokens = run(
      tokenize, R"({"messages": [{"role": "user", "content": "7 é"}], "return_token_strs": true})");
  ASSERT_TRUE(tokens.ok()) << tokens.error().message;
  const json::array& strings = tokens->at("token_strs").as_array();
  ASSERT_EQ(strings.size(), tokens->at("tokens").as_array().size());
  EXPECT_EQ(strings.front(), "<|startoftext|>");
  EXPECT_NE(std::find(strings.begin(), strings.end(), "7"), strings.end());
}

TEST_F(TokenizeTest, SpecialTokensComeBackAsTheyAreSpelled) {
  const auto text = run(detokenize, R"({"tokens": [540, 541]})");
  ASSERT_TRUE(text.ok()) << text.error().message;
  EXPECT_EQ(text->at("prompt"), "<|endoftext|><|mdm_mask|>");
}

TEST_F(TokenizeTest, EveryMistakeNamesItsField) {
  EXPECT_EQ(run(tokenize, "{}").error().param, "prompt");
  EXPECT_EQ(run(tokenize, R"({"prompt": ["a"]})").error().param, "prompt");
  EXPECT_EQ(run(tokenize, R"({"prompt": "a", "messages": []})").error().param, "prompt");
  EXPECT_EQ(run(tokenize, R"({"messages": []})").error().param, "messages");
  EXPECT_EQ(run(tokenize, R"({"prompt": "a", "model": "x"})").error().param, "model");
  EXPECT_EQ(run(detokenize, "{}").error().param, "tokens");
  EXPECT_EQ(run(detokenize, R"({"tokens": [99999]})").error().param, "tokens");
  EXPECT_EQ(run(detokenize, R"({"tokens": "a"})").error().param, "tokens");
}

}  // namespace
}  // namespace rubato
