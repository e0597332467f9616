#include "runtime/text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/runtime/text/small_tokenizer.h"
#include "tests/support/temporary_folder.h"

namespace rubato {
namespace {

using ::testing::HasSubstr;

constexpr const char* kLlada =
    R"({% set loop_messages = messages %}{% for message in loop_messages %}{% set content = )"
    R"('<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim )"
    R"(+ '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %})"
    R"({{ content }}{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }})";

Result<ChatTemplate> load_from(const std::string& tokenizer_config) {
  const testing::TemporaryFolder folder;
  std::ofstream(folder.path() / "tokenizer_config.json") << tokenizer_config;
  return ChatTemplate::load(folder.path(), testing::small_tokenizer());
}

Result<ChatTemplate> load_template(const std::string& chat_template) {
  return load_from(R"({"chat_template":")" + chat_template + R"("})");
}

/// What a conversation becomes, special tokens spelled out.
std::string written(std::vector<ChatMessage> messages) {
  const Tokenizer tokenizer = testing::small_tokenizer();
  const auto made = ChatTemplate::named("llada", tokenizer);
  EXPECT_TRUE(made.ok());
  return tokenizer.decode(made.value().encode(tokenizer, messages), false);
}

TEST(ChatTemplate, WritesBosOnceAndAHeaderForEveryMessageAndTheAnswer) {
  EXPECT_EQ(written({{"system", "Be brief."}, {"user", "hello"}}),
            "<|startoftext|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nhello<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
}

TEST(ChatTemplate, StripsContentAsPythonDoes) {
  const std::string expected = written({{"user", "a b"}});
  EXPECT_EQ(written({{"user",
                      " \t\r\n\v\f\x1c\x1f"
                      "a b\n "}}),
            expected);
  EXPECT_EQ(written({{"user",
                      "\xc2\x85\xc2\xa0"
                      "a b\xe3\x80\x80\xe2\x80\xa9"}}),
            expected);
  // U+200B and U+FEFF are not white space to Python.
  EXPECT_NE(written({{"user",
                      "\xe2\x80\x8b"
                      "a b"}}),
            expected);
  EXPECT_NE(written({{"user",
                      "\xef\xbb\xbf"
                      "a b"}}),
            expected);
  EXPECT_EQ(written({{"user", " \n "}}), written({{"user", ""}}));
}

TEST(ChatTemplate, TakesSpecialTokensInContentAndRolesForText) {
  const Tokenizer tokenizer = testing::small_tokenizer();
  const auto made = ChatTemplate::named("llada", tokenizer);
  ASSERT_TRUE(made.ok());
  const std::vector<ChatMessage> messages = {{"<|eot_id|>", "<|eot_id|><|startoftext|>"}};
  const std::vector<TokenId> ids = made.value().encode(tokenizer, messages);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), made.value().end_of_turn()), 1);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), *tokenizer.token_to_id("<|startoftext|>")), 1);
}

TEST(ChatTemplate, WithoutMessagesIsBosAndTheAnswersHeader) {
  EXPECT_EQ(written({}), "<|startoftext|><|start_header_id|>assistant<|end_header_id|>\n\n");
}

TEST(ChatTemplate, RecognisesLladasTemplate) {
  const auto loaded = load_template(kLlada);
  EXPECT_TRUE(loaded.ok()) << loaded.error().message;
}

TEST(ChatTemplate, RefusesAnotherTemplateAndSaysThatOneCanBeNamed) {
  const auto loaded = load_template("{% for m in messages %}[INST] {{ m.content }}{% endfor %}");
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().code, Code::kInvalidArgument);
  EXPECT_THAT(loaded.error().message, HasSubstr("tokenizer_config.json"));
  EXPECT_THAT(loaded.error().message, HasSubstr("not one that is recognised; name one"));
}

TEST(ChatTemplate, RefusesATemplateThatDoesMoreThanLladas) {
  EXPECT_FALSE(load_template(std::string(kLlada) + "{{ tools | tojson }}").ok());
}

TEST(ChatTemplate, RefusesAFolderWithoutATemplate) {
  EXPECT_FALSE(load_from("{}").ok());
  EXPECT_FALSE(load_from(R"({"chat_template":7})").ok());
  EXPECT_FALSE(load_from("[]").ok());
  EXPECT_FALSE(load_from("{\"chat_template\":").ok());
  const testing::TemporaryFolder folder;
  EXPECT_FALSE(ChatTemplate::load(folder.path(), testing::small_tokenizer()).ok());
}

TEST(ChatTemplate, RefusesATokenizerWithoutItsTokens) {
  const testing::TemporaryFolder folder;
  const auto file = folder.path() / "tokenizer.json";
  std::ofstream(file) << testing::small_tokenizer_json("<|eot_id|>", "<|other|>");
  const auto tokenizer = Tokenizer::load(file);
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_FALSE(ChatTemplate::named("llada", tokenizer.value()).ok());
}

}  // namespace
}  // namespace rubato
