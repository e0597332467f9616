#include "http/openai/answer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace rubato {
namespace {

Tokenizer load_tokenizer() {
  auto loaded = Tokenizer::load(RUBATO_SOURCE_DIR "/models/llada-tiny/tokenizer.json");
  EXPECT_TRUE(loaded.ok()) << loaded.error().message;
  return std::move(loaded).value();
}

/// Commits `ids` in a random order, a few a step; returns the deltas joined.
std::string stream(Answer& answer, const std::vector<TokenId>& ids, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Position> order(ids.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::shuffle(order, random);
  std::string joined;
  while (!order.empty() && !answer.complete()) {
    GenerationUpdate update;
    for (auto left = 1 + random() % 3; left > 0 && !order.empty(); --left) {
      update.commits.push_back({1 + order.back(), ids[order.back()]});
      order.pop_back();
    }
    update.finished = order.empty();
    joined += answer.add(update);
  }
  return joined;
}

class AnswerTest : public ::testing::Test {
 protected:
  Answer answer_to(std::size_t length, AnswerOptions options) {
    GenerationRequest request;
    request.prompt = {0};
    request.max_tokens = static_cast<int>(length);
    return Answer(tokenizer_, request, std::move(options));
  }

  /// Over many orders of commits, the deltas joined and the whole text are `expected`.
  void expect_text(const std::vector<TokenId>& ids,
                   const AnswerOptions& options,
                   const std::string& expected) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
      Answer answer = answer_to(ids.size(), options);
      EXPECT_EQ(stream(answer, ids, seed), expected);
      EXPECT_EQ(answer.text(), expected);
    }
  }

  const Tokenizer tokenizer_ = load_tokenizer();
  const TokenId eos_ = *tokenizer_.token_to_id("<|endoftext|>");
};

TEST_F(AnswerTest, ATracedOneIsCompleteOnlyWhenDecodingIs) {
  Answer answer = answer_to(3, {.stop_ids = {eos_}, .to_the_end = true});
  GenerationUpdate update;
  update.commits = {{1, tokenizer_.encode("7").at(0)}, {2, eos_}};
  update.stats.forward_passes = 1;
  update.trace = StepTrace{};
  EXPECT_EQ(answer.add(update), "7");
  EXPECT_FALSE(answer.complete());
  EXPECT_EQ(answer.num_given_tokens(), 2u);

  update.commits = {{3, tokenizer_.encode("8").at(0)}};
  update.stats.forward_passes = 2;
  update.finished = true;
  EXPECT_EQ(answer.add(update), "");
  EXPECT_TRUE(answer.complete());
  EXPECT_EQ(answer.text(), "7");
  EXPECT_EQ(answer.stats().forward_passes, 2);
  EXPECT_EQ(answer.trace().size(), 2u);
}

TEST_F(AnswerTest, DeltasJoinedAreTheTextWhateverTheOrderOfCommits) {
  const std::string text = "12 + 5 = 17\n#### 17 — é, 漢字, 🎈";
  const std::vector<TokenId> ids = tokenizer_.encode(text);
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Answer answer = answer_to(ids.size(), {});
    EXPECT_EQ(stream(answer, ids, seed), text);
    EXPECT_EQ(answer.text(), text);
    EXPECT_STREQ(answer.finish_reason(), "length");
    EXPECT_EQ(answer.token_ids().size(), ids.size());
  }
}

TEST_F(AnswerTest, NoPartOfAStopStringLeaks) {
  const std::vector<TokenId> ids = tokenizer_.encode("one two three END four");
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Answer answer = answer_to(ids.size(), {.stop = {"e END", "four"}});
    EXPECT_EQ(stream(answer, ids, seed), "one two thre");
    EXPECT_EQ(answer.text(), "one two thre");
    EXPECT_EQ(std::get<std::string>(answer.stop_reason()), "e END");
    EXPECT_STREQ(answer.finish_reason(), "stop");
  }
}

TEST_F(AnswerTest, ABeginningOfAStopStringIsGivenWhenTheTextEnds) {
  const std::vector<TokenId> ids = tokenizer_.encode("one EN");
  Answer answer = answer_to(ids.size(), {.stop = {"END"}});
  EXPECT_EQ(stream(answer, ids, 1), "one EN");
}

TEST_F(AnswerTest, EndsAtTheFirstEosAndCountsIt) {
  std::vector<TokenId> ids = tokenizer_.encode("done");
  const std::size_t before = ids.size();
  ids.insert(ids.end(), {eos_, ids[0], eos_});
  Answer answer = answer_to(ids.size(), {.stop_ids = {eos_}});
  EXPECT_EQ(stream(answer, ids, 3), "done");
  EXPECT_EQ(answer.token_ids().size(), before + 1);
  EXPECT_EQ(std::get<TokenId>(answer.stop_reason()), eos_);
}

TEST_F(AnswerTest, ATokenThatIsNoStopDoesNotEndTheText) {
  std::vector<TokenId> ids = tokenizer_.encode("a");
  ids.push_back(eos_);
  ids.push_back(ids[0]);
  Answer answer = answer_to(ids.size(), {});
  EXPECT_EQ(stream(answer, ids, 5), "aa");
  EXPECT_STREQ(answer.finish_reason(), "length");
}

TEST_F(AnswerTest, IsCompleteAsSoonAsItsTextIs) {
  const std::vector<TokenId> a = tokenizer_.encode("a");
  Answer answer = answer_to(4, {.stop_ids = a});
  answer.add({.commits = {{1, a[0]}}, .stats = {}, .trace = {}, .finished = false, .error = {}});
  EXPECT_TRUE(answer.complete());
}

TEST_F(AnswerTest, WhatEndedTheTextIsPartOfItWhenAskedFor) {
  std::vector<TokenId> ids = tokenizer_.encode("one two three END four");
  expect_text(ids, {.stop = {"END"}, .include_stop = true}, "one two three END");
  ids = tokenizer_.encode("12\n34");
  const TokenId newline = tokenizer_.encode("\n").at(0);
  expect_text(ids, {.stop_ids = {newline}}, "12");
  expect_text(ids, {.stop_ids = {newline}, .include_stop = true}, "12\n");
}

TEST_F(AnswerTest, SpecialTokensHaveTextOnlyWhenTheyAreNotSkipped) {
  std::vector<TokenId> ids = tokenizer_.encode("a");
  ids.push_back(eos_);
  ids.push_back(ids[0]);
  expect_text(ids, {}, "aa");
  expect_text(ids, {.skip_special = false}, "a<|endoftext|>a");
  expect_text(ids, {.stop_ids = {eos_}, .skip_special = false}, "a");
  expect_text(
      ids, {.stop_ids = {eos_}, .include_stop = true, .skip_special = false}, "a<|endoftext|>");
  expect_text(ids, {.stop_ids = {eos_}, .include_stop = true}, "a");
}

TEST_F(AnswerTest, AStopStringCountsOnlyBehindMinTokens) {
  const std::vector<TokenId> ids = tokenizer_.encode("7.7.7.");
  ASSERT_EQ(ids.size(), 6u);
  expect_text(ids, {.stop = {"."}, .min_tokens = 1}, "7");
  expect_text(ids, {.stop = {"."}, .min_tokens = 2}, "7.7");
  expect_text(ids, {.stop = {".7."}, .min_tokens = 4}, "7.7");  // ends behind them
  expect_text(ids, {.stop = {"."}, .min_tokens = 6}, "7.7.7.");
}

TEST_F(AnswerTest, LogprobsAreInTheOrderOfTheTextWhateverTheOrderOfCommits) {
  GenerationRequest request;
  request.prompt = {0};
  request.max_tokens = 3;
  request.top_logprobs = 0;
  Answer answer(tokenizer_, request, {});
  const std::vector<TokenId> ids = tokenizer_.encode("7.7");
  GenerationUpdate update;
  update.commits = {{1, ids[0]}, {3, ids[2]}};
  update.logprobs = {{-0.1, {}}, {-0.3, {}}};
  answer.add(update);
  EXPECT_EQ(answer.logprobs().size(), 1u);
  EXPECT_EQ(answer.num_given_tokens(), 1u);
  update.commits = {{2, ids[1]}};
  update.logprobs = {{-0.2, {}}};
  update.finished = true;
  answer.add(update);
  ASSERT_EQ(answer.logprobs().size(), 3u);
  EXPECT_EQ(answer.logprobs()[1].logprob, -0.2);
  EXPECT_EQ(answer.logprobs()[2].logprob, -0.3);
  EXPECT_EQ(answer.text_begin(2), 2u);
}

TEST_F(AnswerTest, ATokenIsGivenWhenItsTextIs) {
  const std::vector<TokenId> ids = tokenizer_.encode("1EN2");
  Answer answer = answer_to(ids.size() + 1, {.stop = {"END"}});
  GenerationUpdate update;
  for (std::size_t i = 0; i + 1 < ids.size(); ++i)
    update.commits.push_back({1 + static_cast<Position>(i), ids[i]});
  EXPECT_EQ(answer.add(update), "1");
  EXPECT_EQ(answer.num_given_tokens(), 1u);  // the others may begin a stop string
  update.commits = {{static_cast<Position>(ids.size()), ids.back()}};
  EXPECT_EQ(answer.add(update), "EN2");
  EXPECT_EQ(answer.num_given_tokens(), ids.size());
}

TEST_F(AnswerTest, AnEchoComesFirstAndIsNotSearchedForStopStrings) {
  const std::vector<TokenId> ids = tokenizer_.encode("ND and END");
  expect_text(ids, {.stop = {"END"}, .echo = "END E"}, "END END and ");
}

}  // namespace
}  // namespace rubato
