#include "benchmarks/serving/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <set>

namespace rubato {
namespace {

using ::testing::HasSubstr;

LevelReport report(LoadLevel level, std::int64_t tokens) {
  LevelReport one;
  one.level = level;
  one.summary.requests = 12;
  one.summary.answered = 10;
  one.summary.errors = {{"HTTP 429: full", 2}};
  one.summary.seconds = 10;
  one.summary.output_tokens = tokens;
  one.summary.first_text = {.mean = 30, .p50 = 25, .p90 = 60, .p99 = 90, .most = 91};
  one.summary.whole = {.mean = 300, .p50 = 250, .p90 = 600, .p99 = 900, .most = 910};
  return one;
}

Sweep sweep() {
  Sweep s{"tiny", "0.1.0", {}};
  s.levels = {report({1, 0, 0}, 400), report({0, 2.5, 0}, 1300)};
  s.levels[1].work = EngineWork{12.5, 80, 4000};
  return s;
}

SweepOptions options() {
  SweepOptions o;
  o.length = 64;
  o.diffusion = {{"policy", "dual"}};
  return o;
}

SweepSetup setup() {
  SweepSetup s;
  s.provenance.commit = "abc";
  s.provenance.ranks = 0;
  s.url = "http://there:80";
  s.tasks = {"chain", "code"};
  return s;
}

const SweepSetup kSetup = setup();

TEST(ServingTable, HasALineForEachLevelAndTheErrors) {
  const std::string table = to_table(sweep(), options(), kSetup);
  EXPECT_THAT(table, HasSubstr("tiny at http://there:80, version 0.1.0; questions of chain, code"));
  EXPECT_THAT(
      table,
      HasSubstr("load         requests  errors  answers/s  tokens/s   speed  text p50  p99  "
                "whole p50  p99  queue\n"
                "1 at a time        12       2       1.00      40.0  1.00 x        25   90        "
                "250  900      -\n"
                "2.5/s              12       2       1.00     130.0  3.25 x        25   90        "
                "250  900   12.5\n"));
  EXPECT_THAT(table, HasSubstr("2.5/s: 2 x HTTP 429: full\n"));
}

TEST(ServingJson, HasEveryLevelWithItsParameters) {
  const auto json = boost::json::parse(to_json(sweep(), options(), kSetup)).as_object();
  EXPECT_EQ(json.at("url"), "http://there:80");
  EXPECT_EQ(json.at("commit"), "abc");
  EXPECT_FALSE(json.contains("ranks"));  // the server's, which a client does not know
  EXPECT_EQ(json.at("diffusion").at("policy"), "dual");
  EXPECT_EQ(json.at("length").as_int64(), 64);
  const auto& closed = json.at("levels").as_array()[0].as_object();
  EXPECT_EQ(closed.at("loop"), "closed");
  EXPECT_EQ(closed.at("concurrency").as_int64(), 1);
  EXPECT_TRUE(closed.at("rate").is_null());
  EXPECT_TRUE(closed.at("engine").is_null());
  EXPECT_EQ(closed.at("tokens_per_second").as_double(), 40);
  EXPECT_EQ(closed.at("errors").at("HTTP 429: full").as_int64(), 2);
  EXPECT_EQ(closed.at("first_text_ms").at("p99").as_double(), 90);
  const auto& open = json.at("levels").as_array()[1].as_object();
  EXPECT_EQ(open.at("rate").as_double(), 2.5);
  EXPECT_TRUE(open.at("concurrency").is_null());
  EXPECT_EQ(open.at("engine").at("queue_ms").as_double(), 12.5);
}

class ServingBodies : public ::testing::Test {
 protected:
  std::vector<std::string> questions(std::uint64_t seed, int count) {
    SweepOptions o = options();
    o.seed = seed;
    std::vector<std::string> texts;
    for (const std::string& body : make_bodies(tasks_, o, "tiny", count))
      texts.emplace_back(boost::json::parse(body).at("messages").at(0).at("content").as_string());
    return texts;
  }

  static Task task(const char* name, const std::vector<std::string>& questions) {
    Task made{name, {}};
    for (const std::string& text : questions) made.questions.emplace_back().text = text;
    return made;
  }

  std::vector<Task> tasks_ = {task("a", {"1", "2", "3"}), task("b", {"4", "5"})};
};

TEST_F(ServingBodies, AskEveryQuestionOnceBeforeOneIsRepeated) {
  const auto texts = questions(1, 7);
  EXPECT_EQ(std::set<std::string>(texts.begin(), texts.begin() + 5).size(), 5u);
  EXPECT_EQ(texts[5], texts[0]);
  EXPECT_EQ(texts[6], texts[1]);
}

TEST_F(ServingBodies, HaveAnOrderOfTheSeed) {
  EXPECT_EQ(questions(1, 5), questions(1, 5));
  EXPECT_NE(questions(1, 5), questions(2, 5));
}

TEST_F(ServingBodies, AreStreamedChatsThatTellTheirUsage) {
  const auto body = boost::json::parse(make_bodies(tasks_, options(), "tiny", 1).front());
  EXPECT_EQ(body.at("model"), "tiny");
  EXPECT_EQ(body.at("max_tokens").as_int64(), 64);
  EXPECT_TRUE(body.at("stream").as_bool());
  EXPECT_TRUE(body.at("stream_options").at("include_usage").as_bool());
  EXPECT_EQ(body.at("diffusion").at("policy"), "dual");
}

}  // namespace
}  // namespace rubato
