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
  m.canvas_positions = 6000;
  m.cost = {.forward_passes = 80, .refreshes = 20, .rows_computed = 4000, .layers_refreshed = 60};
  m.boundaries = {{0, 12}, {3, 8}};
  m.trace = {{.boundary = 0, .similarity = {}, .tracked = {}, .committed = {{40, 7}}},
             {.boundary = {}, .similarity = {0.5, 0.25}, .tracked = {3}, .committed = {}}};
  m.seconds = {seconds};
  return m;
}

PolicyComparison comparison() {
  PolicyComparison c;
  c.lengths = {512};
  c.measurements = {measurement("sums", "none", 20),
                    measurement("sums", "elastic", 1),
                    measurement("verse", "none", 20),
                    measurement("verse", "elastic", 3)};
  c.skipped = {{"code", 512, "cannot run python3"}};
  return c;
}

const BenchSetup kSetup{.provenance = {.version = "1",
                                       .commit = "abc",
                                       .command = "rubato bench policies",
                                       .started = {},
                                       .ranks = 2,
                                       .threads = 1,
                                       .kernels = "avx2",
                                       .machine = {.cpu = "Abacus"}},
                        .model = "tiny",
                        .dtype = "float32",
                        .cache_bytes_per_token = 1 << 10};

TEST(PolicyTable, HasALineForEachContenderOfEachTaskAndOfAll) {
  const std::string table = to_table(comparison(), kSetup);
  EXPECT_THAT(
      table,
      HasSubstr("\nsums, length 512\n"
                "policy   commits            right  accuracy       95 %  tokens/s  spread   "
                "speed  passes  tokens/pass  refreshed   rows  cache MiB\n"
                "none     confidence >= 0.9   9/10    90.0 %  59.6-98.2      20.0       -   "
                "1.0 x     8.0         5.00     25.0 %  400.0        0.6\n"
                "elastic  confidence >= 0.9   9/10    90.0 %  59.6-98.2     400.0       -  "
                "20.0 x     8.0         5.00     25.0 %  400.0        0.6\n"));
  EXPECT_THAT(table, HasSubstr("\nall tasks, length 512\n"));
  EXPECT_THAT(table, HasSubstr("18/20    90.0 %  69.9-97.2     200.0       -  10.0 x"));
  EXPECT_THAT(table, HasSubstr("code, length 512: skipped, cannot run python3"));
}

TEST(PolicyTable, SaysWhereItsNumbersComeFrom) {
  const std::string table = to_table(comparison(), kSetup);
  for (const char* fact : {"commit abc", "Abacus", "2 rank(s)", "rubato bench policies"})
    EXPECT_THAT(table, HasSubstr(fact));
}

TEST(PolicyTable, OfSeveralRepetitionsTellsTheMedianAndHowFarTheyLieApart) {
  PolicyComparison c = comparison();
  c.measurements.resize(1);
  c.measurements[0].seconds = {20, 10, 25};
  EXPECT_THAT(to_table(c, kSetup), HasSubstr("20.0  75.0 %  1.0 x"));
  EXPECT_EQ(to_table(c, kSetup).find("different steps"), std::string::npos);
  c.measurements[0].repeats_alike = false;
  EXPECT_THAT(to_table(c, kSetup), HasSubstr("none, length 512: its repetitions took different"));
}

TEST(PolicyTable, KeepsLengthsApart) {
  PolicyComparison c = comparison();
  for (Measurement one : comparison().measurements) {
    one.request.max_tokens = 128;
    c.measurements.push_back(one);
  }
  const std::string table = to_table(c, kSetup);
  for (const char* head : {"sums, length 128", "all tasks, length 128", "all tasks, length 512"})
    EXPECT_THAT(table, HasSubstr(head));
  EXPECT_EQ(totals(c).size(), 4u);
}

TEST(BoundaryTable, HasAColumnForEachLayerThatWasRefreshedFrom) {
  EXPECT_THAT(to_boundary_table(comparison()),
              HasSubstr("policy   length  none   0   3\n"
                        "none        512   120  24  16\n"));
}

TEST(PolicyTable, OfNothingSaysWhatWasSkipped) {
  PolicyComparison nothing;
  nothing.skipped = {{"code", 512, "cannot run python3"}};
  EXPECT_THAT(to_table(nothing, kSetup), HasSubstr("code, length 512: skipped"));
}

TEST(PhaseTable, HasALineForEachKindOfStepThatWasMade) {
  PolicyComparison c = comparison();
  for (Measurement& m : c.measurements) {
    m.times.kinds[0] = {.steps = 2, .nanoseconds = {1000, 80'000, 4000, 2000, 0, 8000, 4000, 1000}};
  }
  const std::string table = to_phase_table(c);
  EXPECT_THAT(
      table,
      HasSubstr(
          "policy   step   length  count  plan  reuse  reduce  decide  refresh  head  sample  "
          "finish  in all    own\n"
          "none     reuse     512      4   0.5   40.0     2.0     1.0      0.0   4.0     2.0  "
          "   0.5    50.0  8.0 %\n"));
  EXPECT_EQ(table.find("partial  "), std::string::npos);
}

TEST(PolicyJson, HasTheCountsAndTheEffectiveParameters) {
  const auto report = boost::json::parse(to_json(comparison(), kSetup, false)).as_object();
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
  EXPECT_EQ(elastic.at("refresh_share").as_double(), 0.25);
  EXPECT_EQ(elastic.at("boundaries"), (boost::json::object{{"none", 60}, {"0", 12}, {"3", 8}}));
  EXPECT_EQ(elastic.at("cache_bytes").as_double(), 600 * 1024);
  EXPECT_EQ(elastic.at("seconds_of_each_repetition").as_array().size(), 1u);
  EXPECT_FALSE(elastic.contains("trace"));
  EXPECT_EQ(elastic.at("rows_computed").as_int64(), 4000);
  EXPECT_EQ(elastic.at("steps").at("full").at("count").as_int64(), 0);
  EXPECT_TRUE(elastic.at("steps").at("reuse").at("seconds").as_object().contains("plan"));
  EXPECT_EQ(report.at("all_tasks").as_array()[1].at("tokens").as_int64(), 800);
  EXPECT_EQ(report.at("skipped").as_array()[0].at("task"), "code");
  EXPECT_EQ(report.at("commit"), "abc");
  EXPECT_EQ(report.at("machine").at("cpu"), "Abacus");
}

TEST(PolicyJson, HasTheFirstQuestionsStepsWhenAskedFor) {
  const auto report = boost::json::parse(to_json(comparison(), kSetup, true)).as_object();
  const auto& trace = report.at("results").as_array()[0].at("trace").as_array();
  ASSERT_EQ(trace.size(), 2u);
  EXPECT_EQ(trace[0].at("boundary").as_int64(), 0);
  EXPECT_EQ(trace[1].at("similarity"), (boost::json::array{0.5, 0.25}));
  EXPECT_FALSE(report.at("all_tasks").as_array()[0].as_object().contains("trace"));
}

}  // namespace
}  // namespace rubato
