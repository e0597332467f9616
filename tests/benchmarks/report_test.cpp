#include "benchmarks/policies/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace rubato {
namespace {

using ::testing::HasSubstr;

Measurement measurement(const std::string& task, const std::string& contender, double seconds) {
  Measurement m;
  m.task = task;
  m.contender = contender;
  m.request.max_tokens = 512;
  m.request.policy.policy = find_policy(contender);
  m.questions = 10;
  m.right = 9;
  m.tokens = 400;
  m.committed = 420;
  m.cost = {.forward_passes = 80, .refreshes = 20, .rows_computed = 4000, .layers_refreshed = 60};
  m.seconds = seconds;
  return m;
}

PolicyComparison comparison() {
  PolicyComparison c;
  c.length = 512;
  c.measurements = {measurement("sums", "none", 20),
                    measurement("sums", "elastic", 1),
                    measurement("verse", "none", 20),
                    measurement("verse", "elastic", 3)};
  c.skipped = {{"code", "cannot run python3"}};
  return c;
}

const BenchSetup kSetup{.version = "1",
                        .model = "tiny",
                        .dtype = "float32",
                        .kernels = "avx2",
                        .ranks = 2,
                        .threads = 1};

TEST(PolicyTable, HasALineForEachContenderOfEachTaskAndOfAll) {
  const std::string table = to_table(comparison(), kSetup);
  EXPECT_THAT(table,
              HasSubstr("\nsums\n"
                        "policy   commits            right  accuracy  tokens/s   speed  passes  "
                        "tokens/pass  refreshes   rows\n"
                        "none     confidence >= 0.9   9/10    90.0 %      20.0   1.0 x     8.0"
                        "         5.00        2.0  400.0\n"
                        "elastic  confidence >= 0.9   9/10    90.0 %     400.0  20.0 x     8.0"
                        "         5.00        2.0  400.0\n"));
  EXPECT_THAT(table, HasSubstr("\nall tasks\n"));
  EXPECT_THAT(table, HasSubstr("18/20    90.0 %     200.0  10.0 x"));
  EXPECT_THAT(table, HasSubstr("code: skipped, cannot run python3"));
}

TEST(PolicyTable, OfNothingSaysWhatWasSkipped) {
  PolicyComparison nothing;
  nothing.skipped = {{"code", "cannot run python3"}};
  EXPECT_THAT(to_table(nothing, kSetup), HasSubstr("code: skipped"));
}

TEST(PhaseTable, HasALineForEachKindOfStepThatWasMade) {
  PolicyComparison c = comparison();
  for (Measurement& m : c.measurements) {
    m.times.kinds[0] = {.steps = 2, .nanoseconds = {1000, 80'000, 4000, 2000, 0, 8000, 4000, 1000}};
  }
  const std::string table = to_phase_table(c);
  EXPECT_THAT(
      table,
      HasSubstr("policy   step   count  plan  reuse  reduce  decide  refresh  head  sample  "
                "finish  in all    own\n"
                "none     reuse      4   0.5   40.0     2.0     1.0      0.0   4.0     2.0  "
                "   0.5    50.0  8.0 %\n"));
  EXPECT_EQ(table.find("partial  "), std::string::npos);
}

TEST(PolicyJson, HasTheCountsAndTheEffectiveParameters) {
  const auto report = boost::json::parse(to_json(comparison(), kSetup)).as_object();
  EXPECT_EQ(report.at("ranks").as_int64(), 2);
  ASSERT_EQ(report.at("results").as_array().size(), 4u);
  const auto& elastic = report.at("results").as_array()[1].as_object();
  EXPECT_EQ(elastic.at("task"), "sums");
  EXPECT_EQ(elastic.at("diffusion").at("policy"), "elastic");
  EXPECT_EQ(elastic.at("diffusion").at("window").as_int64(), 16);
  EXPECT_EQ(elastic.at("right").as_int64(), 9);
  EXPECT_EQ(elastic.at("tokens_per_second").as_double(), 400);
  EXPECT_EQ(elastic.at("tokens_per_forward_pass").as_double(), 5);
  EXPECT_EQ(elastic.at("refreshes").as_int64(), 20);
  EXPECT_EQ(elastic.at("rows_computed").as_int64(), 4000);
  EXPECT_EQ(elastic.at("steps").at("full").at("count").as_int64(), 0);
  EXPECT_TRUE(elastic.at("steps").at("reuse").at("seconds").as_object().contains("plan"));
  EXPECT_EQ(report.at("all_tasks").as_array()[1].at("tokens").as_int64(), 800);
  EXPECT_EQ(report.at("skipped").as_array()[0].at("task"), "code");
}

}  // namespace
}  // namespace rubato
