// What a request may add to plain decoding: a suffix, changes of the logits, log-probabilities.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "runtime/base/concat.h"
#include "tests/exactness/comparison.h"

namespace rubato::testing {
namespace {

/// What a request came to, by position.
struct Filled {
  std::map<Position, TokenId> tokens;
  std::map<Position, CommitLogprobs> logprobs;
  std::vector<std::vector<Commit>> steps;

  explicit Filled(const Generated& generated) {
    auto said = generated.logprobs.begin();
    for (const StepTrace& step : generated.trace) {
      steps.push_back(step.committed);
      for (const Commit& commit : step.committed) {
        tokens[commit.position] = commit.token;
        if (!generated.logprobs.empty()) logprobs[commit.position] = *said++;
      }
    }
  }
  bool operator==(const Filled&) const = default;
};

std::vector<Filled> run(LocalEngine& engine, const std::vector<GenerationRequest>& requests) {
  std::vector<Filled> filled;
  for (const Generated& generated : engine.generate(requests)) filled.emplace_back(generated);
  return filled;
}

/// A random request with random fields of this file's.
GenerationRequest random_fields(std::mt19937_64& random, const ModelConfig& config) {
  GenerationRequest request = random_request(random, config);
  const auto token = [&] { return static_cast<TokenId>(random() % (config.vocab_size - 3)); };
  if (random() % 2 == 0) {
    request.suffix.resize(1 + random() % 12);
    for (TokenId& id : request.suffix) id = token();
  }
  if (random() % 2 == 0) {
    std::set<TokenId> biased;
    for (auto left = 1 + random() % 6; left > 0; --left) biased.insert(token());
    for (const TokenId id : biased)
      request.rules.bias.push_back({id, static_cast<float>(random() % 400) / 50 - 4});
  }
  if (random() % 2 == 0) {
    request.rules.min_tokens = 1 + static_cast<int>(random() % request.max_tokens);
    request.rules.late = {config.eos_token_id, token(), token()};
  }
  request.top_logprobs = static_cast<int>(random() % 8) - 1;
  return request;
}

class FieldsTest : public ::testing::Test {
 protected:
  FieldsTest() {
    std::mt19937_64 random(23);
    for (int i = 0; i < 60; ++i) requests_.push_back(random_fields(random, config_));
  }

  const TestModel model_ = sharp_model(17);
  const ModelConfig config_ = model_.config;
  std::vector<GenerationRequest> requests_;
};

TEST_F(FieldsTest, MeetTheReference) {
  const reference::Network network(model_);
  Loaded loaded(model_, 2);
  const std::vector<Generated> found = loaded.engine->generate(requests_);
  int ties = 0, told = 0;
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    const reference::Decoded expected = decode(network, requests_[i]);
    const std::string what = concat("request ", i, " (", requests_[i].policy.policy->name, ")");
    if (expect_same(expected, found[i], what)) {
      ++ties;
      continue;
    }
    std::vector<CommitLogprobs> logprobs;
    for (const reference::Step& step : expected.steps)
      logprobs.insert(logprobs.end(), step.logprobs.begin(), step.logprobs.end());
    ASSERT_EQ(logprobs.size(), found[i].logprobs.size()) << what;
    for (std::size_t c = 0; c < logprobs.size(); ++c) {
      EXPECT_NEAR(found[i].logprobs[c].logprob, logprobs[c].logprob, 1e-4) << what;
      ASSERT_EQ(found[i].logprobs[c].top.size(), logprobs[c].top.size()) << what;
      for (std::size_t k = 0; k < logprobs[c].top.size(); ++k, ++told) {
        if (logprobs[c].top[k].logprob < -1e6) continue;  // impossible here and there
        EXPECT_NEAR(found[i].logprobs[c].top[k].logprob, logprobs[c].top[k].logprob, 1e-4) << what;
      }
    }
  }
  EXPECT_LE(ties, 2);
  EXPECT_GT(told, 500);
}

TEST_F(FieldsTest, GiveTheSameAloneAmongOthersAndAtEveryTensorParallelSize) {
  Loaded one(model_, 1);
  std::vector<Filled> expected;
  for (const GenerationRequest& request : requests_)
    expected.push_back(run(*one.engine, {request})[0]);
  for (const int tp : {1, 2, 4}) {
    Loaded loaded(model_, tp);
    LocalEngine& engine = *loaded.engine;
    const std::vector<Filled> found = run(engine, requests_);
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i], expected[i])
          << "request " << i << " (" << requests_[i].policy.policy->name << ") at TP " << tp;
    }
  }
}

TEST_F(FieldsTest, AskingForLogprobsChangesNothingElse) {
  Loaded loaded(model_, 2);
  LocalEngine& engine = *loaded.engine;
  std::vector<GenerationRequest> without = requests_;
  for (GenerationRequest& request : without) request.top_logprobs = -1;
  const auto expected = run(engine, without), found = run(engine, requests_);
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].steps, expected[i].steps);
    EXPECT_TRUE(expected[i].logprobs.empty());
  }
}

TEST_F(FieldsTest, LogprobsAreOfTheCommittedTokensMostProbableFirst) {
  Loaded loaded(model_, 2);
  LocalEngine& engine = *loaded.engine;
  const auto results = run(engine, requests_);
  int at_top = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const int count = requests_[i].top_logprobs;
    EXPECT_EQ(results[i].logprobs.size(), count < 0 ? 0 : results[i].tokens.size());
    for (const auto& [position, said] : results[i].logprobs) {
      EXPECT_LE(said.logprob, 0);
      ASSERT_EQ(std::ssize(said.top), count);
      EXPECT_TRUE(std::ranges::is_sorted(said.top, std::greater(), &TokenLogprob::logprob));
      double total = 0;
      for (const auto& [token, logprob] : said.top) {
        total += std::exp(logprob);
        if (token != results[i].tokens.at(position)) continue;
        EXPECT_EQ(logprob, said.logprob);
        ++at_top;
      }
      EXPECT_LE(total, 1 + 1e-9);
    }
  }
  EXPECT_GT(at_top, 100);
}

TEST_F(FieldsTest, LogprobsOfAllTokensSumToOne) {
  Loaded loaded(model_, 4);
  LocalEngine& engine = *loaded.engine;
  GenerationRequest request = requests_.front();
  request.top_logprobs = config_.vocab_size;
  const Filled filled = run(engine, {request})[0];
  for (const auto& [position, said] : filled.logprobs) {
    double total = 0;
    for (const auto& [token, logprob] : said.top) total += std::exp(logprob);
    EXPECT_NEAR(total, 1, 1e-6);
  }
}

TEST_F(FieldsTest, NothingIsCommittedOutsideTheGeneratedPartAndAllOfItUnderIgnoreEos) {
  Loaded loaded(model_, 1);
  LocalEngine& engine = *loaded.engine;
  for (GenerationRequest& request : requests_) request.ignore_eos = true;
  const auto results = run(engine, requests_);
  for (std::size_t i = 0; i < results.size(); ++i) {
    ASSERT_EQ(std::ssize(results[i].tokens), requests_[i].max_tokens);
    EXPECT_EQ(results[i].tokens.begin()->first, std::ssize(requests_[i].prompt));
    EXPECT_EQ(results[i].tokens.rbegin()->first, requests_[i].generated_end() - 1);
  }
}

TEST_F(FieldsTest, ASuffixIsSeenByEveryPolicy) {
  Loaded loaded(model_, 1);
  LocalEngine& engine = *loaded.engine;
  for (const Policy* policy : policies()) {
    int changed = 0;
    for (GenerationRequest request : requests_) {
      request.policy.policy = policy;
      const auto before = run(engine, {request})[0];
      request.suffix.push_back(5);
      changed += run(engine, {request})[0].tokens != before.tokens;
    }
    EXPECT_GT(changed, 10) << policy->name;
  }
}

TEST_F(FieldsTest, RefreshingEverythingEachStepEqualsNoCacheWithASuffixToo) {
  Loaded loaded(model_, 2);
  LocalEngine& engine = *loaded.engine;
  for (GenerationRequest request : requests_) {
    request.policy.window = request.policy.block_length = request.max_tokens;
    request.policy.refresh_every = 1;
    request.policy.policy = find_policy("interval");
    const Filled found = run(engine, {request})[0];
    request.policy.policy = find_policy("none");
    EXPECT_EQ(found, run(engine, {request})[0]);
  }
}

TEST_F(FieldsTest, LateTokensStandNowhereBeforeMinTokens) {
  Loaded loaded(model_, 2);
  LocalEngine& engine = *loaded.engine;
  int late_without = 0;
  for (GenerationRequest request : requests_) {
    request.rules.min_tokens = request.max_tokens / 2;
    request.rules.late = {config_.eos_token_id, 3, 4, 5};
    const Position first = static_cast<Position>(request.prompt.size());
    const auto is_early_and_late = [&](const auto& entry) {
      return entry.first < first + request.rules.min_tokens &&
             std::ranges::count(request.rules.late, entry.second) > 0;
    };
    EXPECT_EQ(std::ranges::count_if(run(engine, {request})[0].tokens, is_early_and_late), 0);
    LogitRules rules;
    std::swap(rules, request.rules);
    request.rules.min_tokens = rules.min_tokens;
    const auto tokens = run(engine, {request})[0].tokens;
    request.rules = rules;
    late_without += static_cast<int>(std::ranges::count_if(tokens, is_early_and_late));
  }
  EXPECT_GT(late_without, 10);
}

TEST_F(FieldsTest, ABiasForcesATokenOrForbidsIt) {
  Loaded loaded(model_, 2);
  LocalEngine& engine = *loaded.engine;
  int met = 0;
  for (GenerationRequest request : requests_) {
    request.rules = {.bias = {{7, 100}}};
    const Filled forced = run(engine, {request})[0];
    for (const auto& [position, token] : forced.tokens) EXPECT_EQ(token, 7);
    request.rules = {};
    const auto count = [&] {
      const auto tokens = run(engine, {request})[0].tokens;
      return std::ranges::count(tokens, 7, [](const auto& entry) { return entry.second; });
    };
    met += static_cast<int>(count());
    request.rules = {.bias = {{7, -100}}};
    EXPECT_EQ(count(), 0);
  }
  EXPECT_GT(met, 5);
}

}  // namespace
}  // namespace rubato::testing
