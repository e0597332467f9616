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
  Answer answer_to(std::size_t length, std::vector<std::string> stop, bool ignore_eos = false) {
    GenerationRequest request;
    request.prompt = {0};
    request.max_tokens = static_cast<int>(length);
    request.ignore_eos = ignore_eos;
    return Answer(tokenizer_, request, {eos_}, std::move(stop));
  }

  const Tokenizer tokenizer_ = load_tokenizer();
  const TokenId eos_ = *tokenizer_.token_to_id("<|endoftext|>");
};

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
    Answer answer = answer_to(ids.size(), {"e END", "four"});
    EXPECT_EQ(stream(answer, ids, seed), "one two thre");
    EXPECT_EQ(answer.text(), "one two thre");
    EXPECT_TRUE(answer.met_stop_string());
    EXPECT_EQ(std::get<std::string>(answer.stop_reason()), "e END");
    EXPECT_STREQ(answer.finish_reason(), "stop");
  }
}

TEST_F(AnswerTest, ABeginningOfAStopStringIsGivenWhenTheTextEnds) {
  const std::vector<TokenId> ids = tokenizer_.encode("one EN");
  Answer answer = answer_to(ids.size(), {"END"});
  EXPECT_EQ(stream(answer, ids, 1), "one EN");
}

TEST_F(AnswerTest, EndsAtTheFirstEosAndCountsIt) {
  std::vector<TokenId> ids = tokenizer_.encode("done");
  const std::size_t before = ids.size();
  ids.insert(ids.end(), {eos_, ids[0], eos_});
  Answer answer = answer_to(ids.size(), {});
  EXPECT_EQ(stream(answer, ids, 3), "done");
  EXPECT_EQ(answer.token_ids().size(), before + 1);
  EXPECT_EQ(std::get<TokenId>(answer.stop_reason()), eos_);
}

TEST_F(AnswerTest, IgnoreEosGoesOnBehindIt) {
  std::vector<TokenId> ids = tokenizer_.encode("a");
  ids.push_back(eos_);
  ids.push_back(ids[0]);
  Answer answer = answer_to(ids.size(), {}, /*ignore_eos=*/true);
  EXPECT_EQ(stream(answer, ids, 5), "aa");
  EXPECT_STREQ(answer.finish_reason(), "length");
}

}  // namespace
}  // namespace rubato
