#include "http/openai/logprobs.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "http/openai/choice.h"

namespace rubato {
namespace {

namespace json = boost::json;

class LogprobsTest : public ::testing::Test {
 protected:
  /// The answer "7é" whose character is cut into its bytes' tokens where the vocabulary does so.
  Answer answer(const std::string& echo = "") {
    GenerationRequest request;
    request.prompt = {0};
    request.max_tokens = static_cast<int>(ids_.size());
    request.top_logprobs = 2;
    Answer made(tokenizer_, request, {.echo = echo});
    GenerationUpdate update;
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      update.commits.push_back({1 + static_cast<Position>(i), ids_[i]});
      update.logprobs.push_back({-0.5, {{ids_[i], -0.5}, {ids_[0], -1e30}}});
    }
    update.finished = true;
    made.add(update);
    return made;
  }

  const Tokenizer tokenizer_ =
      Tokenizer::load(RUBATO_SOURCE_DIR "/models/llada-tiny/tokenizer.json").value();
  const std::vector<TokenId> ids_ = tokenizer_.encode("7🎈.");
};

TEST_F(LogprobsTest, OfAChatNameEachTokenWithItsBytes) {
  ApiRequest request;
  request.chat = true;
  const json::value value = make_logprobs(request, answer(), 0, ids_.size());
  const json::array& content = value.at("content").as_array();
  ASSERT_EQ(content.size(), ids_.size());
  EXPECT_EQ(content[0],
            json::parse(R"({"token": "7", "logprob": -0.5, "bytes": [55], "top_logprobs": [
                {"token": "7", "logprob": -0.5, "bytes": [55]},
                {"token": "7", "logprob": -9999.0, "bytes": [55]}]})"));
  std::string joined;
  for (const json::value& entry : content) {
    for (const json::value& byte : entry.at("bytes").as_array())
      joined += static_cast<char>(byte.to_number<int>());
  }
  EXPECT_EQ(joined, "7🎈.");
  EXPECT_TRUE(value.at("refusal").is_null());
}

TEST_F(LogprobsTest, OfACompletionCountOffsetsInCharacters) {
  const ApiRequest request;
  const json::value value = make_logprobs(request, answer("é "), 0, ids_.size());
  const json::array& offsets = value.at("text_offset").as_array();
  EXPECT_EQ(offsets[0], 2);
  EXPECT_EQ(offsets[1], 3);
  EXPECT_EQ(offsets[ids_.size() - 1], 4);
  EXPECT_EQ(value.at("tokens").as_array().size(), ids_.size());
  EXPECT_EQ(value.at("token_logprobs").as_array().size(), ids_.size());
  const std::string part(value.at("tokens").at(1).as_string());
  EXPECT_TRUE(part.starts_with("bytes:\\xf0")) << part;
  EXPECT_TRUE(value.at("top_logprobs").at(1).as_object().contains(part));
}

TEST_F(LogprobsTest, OfAStepStandBesideWhatItCommitted) {
  StepTrace step;
  step.committed = {{1, ids_[0]}, {3, ids_[2]}};
  const json::object entry = make_trace_entry(step, answer());
  const json::array& said = entry.at("logprobs").as_array();
  ASSERT_EQ(said.size(), 2u);
  EXPECT_EQ(said[0].at("token"), "7");
  EXPECT_EQ(said[0].at("logprob"), -0.5);
  EXPECT_EQ(said[1].at("top_logprobs").as_array().size(), 2u);
  GenerationRequest generation;
  generation.prompt = {0};
  const Answer silent(tokenizer_, generation, {});
  EXPECT_FALSE(make_trace_entry(step, silent).contains("logprobs"));
}

TEST_F(LogprobsTest, AreNullWhereTheyWereNotAskedForOrThereIsNoToken) {
  GenerationRequest generation;
  generation.prompt = {0};
  EXPECT_TRUE(make_logprobs({}, Answer(tokenizer_, generation, {}), 0, 0).is_null());
  EXPECT_TRUE(make_logprobs({}, answer(), 1, 1).is_null());
}

}  // namespace
}  // namespace rubato
