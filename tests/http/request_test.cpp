#include "http/openai/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "runtime/base/concat.h"

namespace rubato {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class RequestTest : public ::testing::Test {
 protected:
  RequestTest() {
    defaults_.policy.policy = find_policy("elastic");
    model_ = {"tiny", 0, 128, 576, 541, {540, 544}};
  }

  Result<ApiRequest> completion(const std::string& body) {
    return parse_completion_request(boost::json::parse(body).as_object(),
                                    {model_, tokenizer_, nullptr, defaults_});
  }

  /// A chat of one message with further fields.
  Result<ApiRequest> chat(const std::string& fields) {
    const std::string body =
        R"({"messages": [{"role": "user", "content": "a"}], "max_tokens": 8, )" + fields + "}";
    return parse_chat_request(boost::json::parse(body).as_object(),
                              {model_, tokenizer_, &chat_template_, defaults_});
  }

  ServedModel model_;
  GenerationDefaults defaults_;
  Tokenizer tokenizer_ =
      Tokenizer::load(RUBATO_SOURCE_DIR "/models/llada-tiny/tokenizer.json").value();
  ChatTemplate chat_template_ = ChatTemplate::named("llada", tokenizer_).value();
};

TEST_F(RequestTest, AStopStringHasALimitedLength) {
  const auto with_stop = [&](std::size_t bytes) {
    return completion(R"({"prompt": "a", "n": 16, "stop": ["b", ")" + std::string(bytes, 'c') +
                      R"("]})");
  };
  EXPECT_EQ(with_stop(4096).value().answer.stop.at(1).size(), 4096u);
  EXPECT_EQ(with_stop(4097).error().param, "stop");
  EXPECT_EQ(with_stop(4097).error().message,
            "`stop` has a string of 4097 bytes; at most 4096 are allowed");
}

/// Texts whose least number of tokens follows from the length of the longest token.
class LongTextTest : public RequestTest {
 protected:
  /// A text of `tokens` tokens at least.
  std::string text_of(std::size_t tokens, char character = 'a') const {
    std::size_t longest = 0;
    for (TokenId id = 0; id < tokenizer_.vocabulary_size(); ++id)
      longest = std::max(longest, tokenizer_.token_bytes(id).size());
    return std::string(longest * tokens, character);
  }

  Result<ApiRequest> chat_of(const std::string& content) {
    return chat(R"("messages": [{"role": "user", "content": ")" + content + R"("}], "n": 1)");
  }
};

TEST_F(LongTextTest, OneThatCannotFitIsRefusedUncounted) {
  const std::string text = text_of(2000);
  for (const std::string& body : {R"({"prompt": ")" + text + "\"}",
                                  R"({"prompt": ["b", ")" + text + "\"]}",
                                  R"({"prompt": "b", "suffix": ")" + text + "\"}"}) {
    const auto refused = completion(body);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, Code::kTooLong);
    EXPECT_EQ(refused.error().param, "prompt");
    EXPECT_THAT(
        refused.error().message,
        HasSubstr("maximum context length is 128 tokens. The prompt has at least 2000 tokens "
                  "and 16 are to be generated, at least 2016 in all."));
  }
}

TEST_F(LongTextTest, OneThatMightFitIsCounted) {
  const auto refused = completion(R"({"prompt": ")" + text_of(112) + "\"}");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kTooLong);
  EXPECT_THAT(refused.error().message,
              AllOf(HasSubstr("The prompt has "), Not(HasSubstr("at least"))));
}

TEST_F(LongTextTest, OneInAChatIsRefusedWithTheTokensOfTheTemplate) {
  const auto refused = chat_of(text_of(2000));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kTooLong);
  EXPECT_THAT(refused.error().message, HasSubstr("has at least 2002 tokens and 8 "));
}

TEST_F(LongTextTest, WhiteSpaceAroundAMessageIsNotPartOfThePrompt) {
  EXPECT_TRUE(chat_of("a" + text_of(2000, ' ')).ok());
}

TEST_F(RequestTest, EveryMistakeNamesItsField) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "prompt"},
      {R"({"prompt": ""})", "prompt"},
      {R"({"prompt": 7})", "prompt"},
      {R"({"prompt": [1, 99999]})", "prompt"},
      {R"({"prompt": [541]})", "prompt"},
      {R"({"prompt": "a", "max_tokens": 0})", "max_tokens"},
      {R"({"prompt": "a", "max_tokens": 4096})", "prompt"},
      {R"({"prompt": "a", "temperature": 3})", "temperature"},
      {R"({"prompt": "a", "top_p": 0})", "top_p"},
      {R"({"prompt": "a", "n": 17})", "n"},
      {R"({"prompt": "a", "seed": 1.5})", "seed"},
      {R"({"prompt": "a", "stream": "yes"})", "stream"},
      {R"({"prompt": "a", "stop": ["1","2","3","4","5"]})", "stop"},
      {R"({"prompt": "a", "model": "other"})", "model"},
      {R"({"prompt": "a", "stream_options": {"include_usage": true}})", "stream_options"},
      {R"({"prompt": "a", "logit_bias": [5]})", "logit_bias"},
      {R"({"prompt": "a", "logit_bias": {"five": 1}})", "logit_bias"},
      {R"({"prompt": "a", "logit_bias": {"99999": 1}})", "logit_bias"},
      {R"({"prompt": "a", "logit_bias": {"-1": 1}})", "logit_bias"},
      {R"({"prompt": "a", "logit_bias": {"541": 1}})", "logit_bias"},
      {R"({"prompt": "a", "logit_bias": {"5": 1, "05": 1}})", "logit_bias"},
      {R"({"prompt": "a", "logit_bias": {"5": 101}})", "logit_bias.5"},
      {R"({"prompt": "a", "logprobs": 21})", "logprobs"},
      {R"({"prompt": "a", "logprobs": true})", "logprobs"},
      {R"({"prompt": "a", "min_tokens": -1})", "min_tokens"},
      {R"({"prompt": "a", "max_tokens": 4, "min_tokens": 5})", "min_tokens"},
      {R"({"prompt": "a", "suffix": 3})", "suffix"},
      {R"({"prompt": "a", "max_tokens": 126, "suffix": "b."})", "prompt"},
      {R"({"prompt": "a", "presence_penalty": 1})", "presence_penalty"},
      {R"({"prompt": "a", "frequency_penalty": "0"})", "frequency_penalty"},
      {R"({"prompt": "a", "repetition_penalty": 1.1})", "repetition_penalty"},
      {R"({"prompt": "a", "min_p": 0.1})", "min_p"},
      {R"({"prompt": "a", "best_of": 2})", "best_of"},
      {R"({"prompt": "a", "stop_token_ids": 5})", "stop_token_ids"},
      {R"({"prompt": "a", "stop_token_ids": [99999]})", "stop_token_ids"},
      {R"({"prompt": "a", "stop_token_ids": [541]})", "stop_token_ids"},
      {R"({"prompt": "a", "include_stop_str_in_output": 1})", "include_stop_str_in_output"},
      {R"({"prompt": "a", "skip_special_tokens": 1})", "skip_special_tokens"},
      {R"({"prompt": "a", "add_special_tokens": 1})", "add_special_tokens"},
      {R"({"prompt": "a", "echo": "yes"})", "echo"},
      {R"({"prompt": "a", "echo": true, "logprobs": 1})", "echo"},
      {R"({"prompt": "a", "chat_template": "x"})", "chat_template"},
      {R"({"prompt": "a", "response_format": {"type": "json_object"}})", "response_format"},
      {R"({"prompt": "a", "tools": [{}]})", "tools"},
      {R"({"prompt": "a", "tools": [{}], "tool_choice": "auto"})", "tools"},
      {R"({"prompt": "a", "tool_choice": "required"})", "tool_choice"},
      {R"({"prompt": "a", "tool_choice": {"type": "function"}})", "tool_choice"},
      {R"({"prompt": "a", "functions": [{}]})", "functions"},
      {R"({"prompt": "a", "diffusion": {"polcy": "none"}})", "diffusion.polcy"},
      {R"({"prompt": "a", "diffusion": {"policy": "magic"}})", "diffusion.policy"},
      {R"({"prompt": "a", "diffusion": {"threshold": 0}})", "diffusion.threshold"},
      {R"({"prompt": "a", "diffusion": {"threshold": 0.5, "steps": 4}})", "diffusion"},
      {R"({"prompt": "a", "diffusion": {"block_length": 5}})", "diffusion.block_length"},
      {R"({"prompt": "a", "max_tokens": 16, "diffusion": {"policy": "none", "threshold": null, "steps": 3, "block_length": 8}})",
       "diffusion.steps"},
  };
  for (const auto& [body, param] : cases) {
    const auto parsed = completion(body);
    ASSERT_FALSE(parsed.ok()) << body;
    EXPECT_EQ(parsed.error().param, param) << body << ": " << parsed.error().message;
  }
}

TEST_F(RequestTest, NullIsAbsentAndUnknownFieldsAreIgnored) {
  const auto parsed =
      completion(R"({"prompt": "a", "temperature": null, "user": "u", "whatever": 1})");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->choices.at(0).max_tokens, 16);
  EXPECT_EQ(parsed->choices.at(0).sampling.temperature, 0);
}

TEST_F(RequestTest, NeutralValuesAndIgnoredFieldsAreAccepted) {
  const char* bodies[] = {
      R"({"prompt": "a", "presence_penalty": 0, "frequency_penalty": 0.0, "min_p": 0, "best_of": 1,
          "repetition_penalty": 1.0, "logit_bias": {}, "suffix": "", "stop_token_ids": []})",
      R"({"prompt": "a", "response_format": {"type": "text"}, "tools": [], "tool_choice": "auto"})",
      R"({"prompt": "a", "tools": [{}], "tool_choice": "none", "functions": [{}],
          "function_call": "none"})",
      R"({"prompt": "a", "user": "u", "metadata": {"a": "b"}, "store": true, "service_tier": "auto",
          "prompt_cache_key": "k", "parallel_tool_calls": true, "add_special_tokens": false})"};
  for (const char* body : bodies) {
    const auto parsed = completion(body);
    EXPECT_TRUE(parsed.ok()) << body << ": " << parsed.error().message;
  }
}

TEST_F(RequestTest, StopTokensAreTheModelsUnlessIgnoredAndTheRequestsOwn) {
  const auto stop_ids = [&](const char* body) { return completion(body).value().answer.stop_ids; };
  EXPECT_EQ(stop_ids(R"({"prompt": "a"})"), (std::vector<TokenId>{540, 544}));
  EXPECT_EQ(stop_ids(R"({"prompt": "a", "stop_token_ids": [7]})"),
            (std::vector<TokenId>{540, 544, 7}));
  EXPECT_EQ(stop_ids(R"({"prompt": "a", "stop_token_ids": [7], "ignore_eos": true})"),
            std::vector<TokenId>{7});
}

TEST_F(RequestTest, EchoGivesBackTextAsGivenAndIdsDecoded) {
  const auto text = completion(R"({"prompt": ["a", "b  "], "echo": true, "n": 2})");
  ASSERT_TRUE(text.ok()) << text.error().message;
  EXPECT_EQ(text->echo, (std::vector<std::string>{"a", "b  "}));
  EXPECT_EQ(text->new_answer(3, tokenizer_).text(), "b  ");
  const auto ids = completion(R"({"prompt": [540, 65], "echo": true})");
  ASSERT_TRUE(ids.ok()) << ids.error().message;
  const std::vector<TokenId> prompt{540, 65};
  EXPECT_EQ(ids->echo, std::vector<std::string>{tokenizer_.decode(prompt, true)});
  EXPECT_TRUE(completion(R"({"prompt": "a"})")->echo.empty());
  EXPECT_TRUE(completion(R"({"prompt": "a", "echo": true, "logprobs": false})").ok());
}

TEST_F(RequestTest, LogitRulesAreReadInOrderOfIds) {
  const auto parsed = completion(
      R"({"prompt": "a", "logit_bias": {"7": -100, "5": 0.5, "6": null}, "min_tokens": 3,
          "stop_token_ids": [9]})");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  const LogitRules& rules = parsed->choices.at(0).rules;
  EXPECT_EQ(rules.bias, (std::vector<TokenBias>{{5, 0.5f}, {7, -100}}));
  EXPECT_EQ(rules.late, (std::vector<TokenId>{540, 544, 9}));
  EXPECT_EQ(rules.min_tokens, 3);
  EXPECT_EQ(completion(R"({"prompt": "a"})")->choices.at(0).rules, LogitRules{});
}

TEST_F(RequestTest, LogprobsAreACountForCompletionsAndAFlagForChats) {
  const auto of_completion = [&](const char* body) {
    return completion(body).value().choices.at(0).top_logprobs;
  };
  EXPECT_EQ(of_completion(R"({"prompt": "a"})"), -1);
  EXPECT_EQ(of_completion(R"({"prompt": "a", "logprobs": 0})"), 0);
  EXPECT_EQ(of_completion(R"({"prompt": "a", "logprobs": 20})"), 20);
  const auto of_chat = [&](const char* fields) {
    const auto parsed = chat(fields);
    return parsed ? std::to_string(parsed->choices.at(0).top_logprobs) : parsed.error().param;
  };
  EXPECT_EQ(of_chat(R"("logprobs": false, "top_logprobs": 0)"), "-1");
  EXPECT_EQ(of_chat(R"("logprobs": true)"), "0");
  EXPECT_EQ(of_chat(R"("logprobs": true, "top_logprobs": 20)"), "20");
  EXPECT_EQ(of_chat(R"("logprobs": true, "top_logprobs": 21)"), "top_logprobs");
  EXPECT_EQ(of_chat(R"("top_logprobs": 2)"), "top_logprobs");
  EXPECT_EQ(of_chat(R"("logprobs": 2)"), "logprobs");
}

TEST_F(RequestTest, ASuffixStandsBehindTheGeneratedPart) {
  const auto parsed = completion(R"({"prompt": ["a", "b"], "max_tokens": 8, "suffix": " end"})");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  const GenerationRequest& second = parsed->choices.at(1);
  EXPECT_EQ(second.suffix, tokenizer_.encode(" end"));
  EXPECT_EQ(second.generated_end(), std::ssize(second.prompt) + 8);
  EXPECT_EQ(second.canvas_length(), second.generated_end() + std::ssize(second.suffix));
}

TEST_F(RequestTest, ChatsHaveNeitherSuffixNorEcho) {
  EXPECT_EQ(chat(R"("suffix": "x")").error().param, "suffix");
  EXPECT_EQ(chat(R"("echo": true)").error().param, "echo");
  EXPECT_TRUE(chat(R"("suffix": "", "echo": false)").ok());
}

TEST_F(RequestTest, ManyPromptsAreRefusedBeforeTheyFillTheMemory) {
  std::string prompts = "\"a\"";
  for (int i = 0; i < 100; ++i) prompts += ", \"a\"";
  defaults_.max_request_tokens = 1000;
  EXPECT_EQ(completion("{\"prompt\": [" + prompts + "], \"n\": 16}").error().param, "n");
}

TEST_F(RequestTest, MoreChoicesThanMayEverWaitAreRefusedByTheFieldThatMakesThem) {
  defaults_.max_choices = 4;
  const auto by_n = completion(R"({"prompt": ["a", "b"], "n": 3})");
  ASSERT_FALSE(by_n.ok());
  EXPECT_EQ(by_n.error().param, "n");
  EXPECT_EQ(by_n.error().message,
            "`n` is 3 for 2 prompts, 6 choices in all; at most 4 are allowed");
  EXPECT_EQ(completion(R"({"prompt": ["a", "b", "c", "d", "e"]})").error().param, "prompt");
  EXPECT_EQ(completion(R"({"prompt": ["a", "b"], "n": 2})").value().choices.size(), 4u);
}

TEST_F(RequestTest, GivesOneChoiceForEachPromptAndN) {
  const auto parsed = completion(R"({"prompt": ["a", "b"], "n": 2, "seed": 5})");
  ASSERT_TRUE(parsed.ok());
  ASSERT_EQ(parsed->choices.size(), 4u);
  EXPECT_EQ(parsed->choices[0].sampling.seed, 5u);
  EXPECT_EQ(parsed->choices[1].sampling.seed, 6u);
  EXPECT_EQ(parsed->choices[2].prompt, tokenizer_.encode("b"));
}

TEST_F(RequestTest, ThresholdNullMeansOneTokenAStep) {
  const auto parsed = completion(
      R"({"prompt": "a", "max_tokens": 8, "diffusion": {"policy": "none", "threshold": null}})");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->choices[0].commit.rule, CommitRule::kSchedule);
  EXPECT_EQ(parsed->choices[0].commit.steps, 8);
}

TEST_F(RequestTest, OneTokenAStepGivesEachBlockAsManyStepsAsTheLongestHasMasks) {
  const auto steps_of = [this](const std::string& policy, int max_tokens) {
    return completion(concat(R"({"prompt": "a", "max_tokens": )",
                             max_tokens,
                             R"(, "diffusion": {"policy": ")",
                             policy,
                             R"(", "threshold": null}})"))
        .value()
        .choices[0]
        .commit.steps;
  };
  for (const char* by_block : {"none", "prefix", "dual", "dkv"}) {
    EXPECT_EQ(steps_of(by_block, 50), 2 * 32) << by_block;
    EXPECT_EQ(steps_of(by_block, 100), 4 * 32) << by_block;
    EXPECT_EQ(steps_of(by_block, 20), 20) << by_block;
  }
  EXPECT_EQ(steps_of("elastic", 50), 50);
}

}  // namespace
}  // namespace rubato
