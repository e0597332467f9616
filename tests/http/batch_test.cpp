#include "http/openai/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <set>
#include <sstream>

#include "tests/support/fake_engine.h"

namespace rubato::testing {
namespace {

namespace json = boost::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A batch over an engine on a thread of its own that writes "7"s, to the end or up to an EOS.
class BatchTest : public ::testing::Test {
 protected:
  BatchTest() {
    defaults_.policy.policy = find_policy("elastic");
    make_engine({.cache_tokens = 400}, /*max_queued=*/64);
  }

  /// The results of these lines.
  std::vector<json::object> run(const std::string& lines, int max_concurrent = 8) {
    engine_->run();
    std::istringstream in(lines);
    std::ostringstream out;
    const ApiContext context{model_, tokenizer_, nullptr, defaults_};
    const BatchProgress progress = run_batch(
        in, out, context, engine_->coordinator, max_concurrent, [&](const BatchProgress& p) {
          EXPECT_EQ(p.done, progress_.done + 1);
          progress_ = p;
        });
    EXPECT_EQ(progress.done, progress_.done);
    EXPECT_EQ(progress.failed, progress_.failed);
    std::vector<json::object> results;
    std::istringstream written(out.str());
    for (std::string line; std::getline(written, line);)
      results.push_back(json::parse(line).as_object());
    EXPECT_EQ(std::ssize(results), progress.done);
    return results;
  }

  static std::string completion(const std::string& id, const std::string& fields) {
    return R"({"custom_id": ")" + id +
           R"(", "method": "POST", "url": "/v1/completions", "body": {"prompt": "a", )" + fields +
           "}}\n";
  }

  /// Lines with the ids 1 to `count`.
  static std::string completions(int count, const std::string& fields) {
    std::string lines;
    for (int i = 1; i <= count; ++i) lines += completion(std::to_string(i), fields);
    return lines;
  }

  static std::string text_of(const json::object& result) {
    return std::string(result.at("response").at("body").at("choices").at(0).at("text").as_string());
  }

  static std::vector<std::string> ids_of(const std::vector<json::object>& results) {
    std::vector<std::string> ids;
    for (const json::object& result : results)
      ids.push_back(
          result.at("custom_id").is_null() ? "" : std::string(result.at("custom_id").as_string()));
    return ids;
  }

  void make_engine(SchedulerLimits limits, int max_queued) {
    const TokenId seven = tokenizer_.encode("7")[0];
    engine_ = std::make_unique<FakeEngine>(
        CoordinatorLimits{.scheduler = limits, .max_queued = max_queued, .max_context = 64},
        [seven](const Sequence& sequence,
                std::span<const Position> eligible) -> std::vector<Commit> {
          const bool last = eligible.size() == 1 && !sequence.spec().ignore_eos;
          return {{eligible.front(), last ? FakeEngine::kTokens.eos : seven}};
        });
  }

  const Tokenizer tokenizer_ =
      Tokenizer::load(RUBATO_SOURCE_DIR "/models/llada-tiny/tokenizer.json").value();
  const ServedModel model_{"tiny", 0, 64, 576, FakeEngine::kTokens.mask, {FakeEngine::kTokens.eos}};
  GenerationDefaults defaults_;
  BatchProgress progress_;
  std::unique_ptr<FakeEngine> engine_;
};

TEST_F(BatchTest, AnswersInInputOrderWhateverEndsFirst) {
  const auto results =
      run(completion("long", R"("max_tokens": 30)") + completion("short", R"("max_tokens": 2)") +
          completion("middle", R"("max_tokens": 9)"));
  EXPECT_THAT(ids_of(results), ElementsAre("long", "short", "middle"));
  EXPECT_EQ(text_of(results[0]), std::string(29, '7'));
  EXPECT_EQ(text_of(results[1]), "7");
  EXPECT_EQ(text_of(results[2]), std::string(8, '7'));
  EXPECT_EQ(results[0].at("response").at("status_code"), 200);
  EXPECT_EQ(results[0].at("error"), nullptr);
  EXPECT_EQ(progress_.failed, 0);
}

TEST_F(BatchTest, ABadLineFailsAlone) {
  const std::string good = R"("max_tokens": 2)";
  const std::pair<std::string, const char*> bad[] = {
      {"not json\n", "line 2 is not a JSON object"},
      {"[1]\n", "line 3 is not a JSON object"},
      {R"({"url": "/v1/completions", "body": {}})"
       "\n",
       "`custom_id` must be a string"},
      {R"({"custom_id": 5, "url": "/v1/completions", "body": {}})"
       "\n",
       "`custom_id` must be a string"},
      {R"({"custom_id": "x", "method": "GET", "url": "/v1/completions", "body": {}})"
       "\n",
       "`method` must be"},
      {R"({"custom_id": "x", "url": "/v1/embeddings", "body": {}})"
       "\n",
       "`url` must be"},
      {R"({"custom_id": "x", "body": {}})"
       "\n",
       "`url` must be"},
      {R"({"custom_id": "x", "url": "/v1/completions"})"
       "\n",
       "`body` must be an object"},
      {R"({"custom_id": "x", "url": "/v1/completions", "body": {}})"
       "\n",
       "`prompt` is required"},
      {R"({"custom_id": "x", "url": "/v1/chat/completions", "body": {}})"
       "\n",
       "chat template is not recognised"},
      {completion("x", R"("stream": true)"), "no streams"},
      {completion("x", R"("max_tokens": 0)"), "`max_tokens` is 0"},
      {completion("x", R"("max_tokens": 500)"), "maximum context length"},
  };
  std::string lines = completion("first", good);
  int number = 0;
  for (auto [line, message] : bad) {
    if (const std::size_t id = line.find(R"("x")"); id != std::string::npos)
      line.insert(id + 2, std::to_string(++number));  // ids are not used twice
    lines += line;
  }
  const auto results = run(lines + completion("last", good));
  ASSERT_EQ(results.size(), std::size(bad) + 2);
  EXPECT_EQ(text_of(results.front()), "7");
  EXPECT_EQ(text_of(results.back()), "7");
  for (std::size_t i = 0; i < std::size(bad); ++i) {
    const json::object& result = results[i + 1];
    EXPECT_EQ(result.at("response").at("status_code"), 400) << bad[i].first;
    EXPECT_THAT(std::string(result.at("error").at("message").as_string()),
                HasSubstr(bad[i].second));
    EXPECT_EQ(result.at("response").at("body").at("error").at("message"),
              result.at("error").at("message"));
  }
  EXPECT_EQ(progress_.failed, static_cast<std::int64_t>(std::size(bad)));
}

TEST_F(BatchTest, AnIdUsedTwiceIsAnErrorOfTheSecondLine) {
  const std::string line = completion("a", R"("max_tokens": 2)");
  const auto results = run(line + line);
  EXPECT_EQ(text_of(results[0]), "7");
  EXPECT_THAT(std::string(results[1].at("error").at("message").as_string()),
              HasSubstr("the same as that of line 1"));
}

TEST_F(BatchTest, NamesEachResultDifferently) {
  std::set<std::string> ids;
  const std::string fields = R"("max_tokens": 1)";
  for (const json::object& result : run(completions(2, fields) + "nonsense\n"))
    ids.insert(std::string(result.at("id").as_string()));
  EXPECT_EQ(ids.size(), 3u);
}

TEST_F(BatchTest, PassesOverBlankLinesAndTakesAnyLineEnd) {
  std::string line = completion("a", R"("max_tokens": 1)");
  line.pop_back();
  std::string last = line;
  last.replace(last.find("\"a\""), 3, "\"b\"");
  EXPECT_THAT(ids_of(run("\n  \t\r\n" + line + "\r\n\n" + last)), ElementsAre("a", "b"));
}

TEST_F(BatchTest, OfNothingIsNothing) {
  EXPECT_TRUE(run("").empty());
}

TEST_F(BatchTest, GivesEveryChoice) {
  const auto results = run(completion("a", R"("max_tokens": 3, "n": 3)"));
  EXPECT_EQ(results[0].at("response").at("body").at("choices").as_array().size(), 3u);
}

TEST_F(BatchTest, WaitsWhereTheEnginesQueueIsFull) {
  make_engine({.cache_tokens = 400, .max_sequences = 1}, /*max_queued=*/1);
  const auto results = run(completions(3, R"("max_tokens": 3, "n": 16)"));
  for (const json::object& result : results) {
    ASSERT_EQ(result.at("response").at("status_code"), 200) << json::serialize(result);
    EXPECT_EQ(result.at("response").at("body").at("choices").as_array().size(), 16u);
  }
}

TEST_F(BatchTest, RunsNoMoreLinesThanItMay) {
  std::size_t most = 0;
  engine_->on_plan = [&](const StepPlan& plan) { most = std::max(most, plan.participants.size()); };
  run(completions(10, R"("max_tokens": 20)"), /*max_concurrent=*/2);
  EXPECT_LE(most, 2u);
}

TEST_F(BatchTest, AStopStringEndsAChoice) {
  const auto results = run(completion("a", R"("max_tokens": 30, "stop": "777")"));
  EXPECT_EQ(text_of(results[0]), "");
  EXPECT_EQ(results[0].at("response").at("body").at("choices").at(0).at("stop_reason"), "777");
}

TEST_F(BatchTest, EndsWithErrorsWhenTheEngineIsShutDown) {
  engine_->coordinator.shut_down(/*finish_running=*/false);
  for (const json::object& result : run(completions(2, R"("max_tokens": 3, "n": 2)")))
    EXPECT_EQ(result.at("response").at("status_code"), 503);
  EXPECT_EQ(progress_.failed, 2);
}

TEST_F(BatchTest, EndsWithErrorsWhenTheEngineStopsMidway) {
  int steps = 0;
  engine_->on_plan = [&](const StepPlan&) {
    if (++steps == 5) engine_->coordinator.shut_down(/*finish_running=*/false);
  };
  EXPECT_EQ(run(completions(20, R"("max_tokens": 20)")).size(), 20u);
  EXPECT_GT(progress_.failed, 0);
}

}  // namespace
}  // namespace rubato::testing
