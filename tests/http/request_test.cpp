#include "http/openai/request.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace rubato {
namespace {

class RequestTest : public ::testing::Test {
 protected:
  RequestTest() {
    defaults_.policy.policy = find_policy("elastic");
    model_ = {"tiny", 0, 128, 541, {540, 544}};
  }

  Result<ApiRequest> completion(const std::string& body) {
    return parse_completion_request(boost::json::parse(body).as_object(),
                                    {model_, tokenizer_, nullptr, defaults_});
  }

  ServedModel model_;
  GenerationDefaults defaults_;
  Tokenizer tokenizer_ =
      Tokenizer::load(RUBATO_SOURCE_DIR "/models/llada-tiny/tokenizer.json").value();
};

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
      {R"({"prompt": "a", "logit_bias": {"5": 1}})", "logit_bias"},
      {R"({"prompt": "a", "presence_penalty": 1})", "presence_penalty"},
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

}  // namespace
}  // namespace rubato
