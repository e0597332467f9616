#include "benchmarks/serving/statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "benchmarks/serving/arrivals.h"
#include "benchmarks/serving/prometheus_text.h"

namespace rubato {
namespace {

RequestSample answered(double due, double first_text, double end, std::int64_t tokens) {
  return {due, first_text, end, 10, tokens, ""};
}

TEST(Percentile, LiesLinearlyBetweenNeighbours) {
  const std::vector<double> values = {1, 2, 4, 8};
  EXPECT_DOUBLE_EQ(percentile(values, 0), 1);
  EXPECT_DOUBLE_EQ(percentile(values, 50), 3);
  EXPECT_DOUBLE_EQ(percentile(values, 90), 4 + 0.7 * 4);
  EXPECT_DOUBLE_EQ(percentile(values, 100), 8);
}

TEST(Percentile, OfOneValueIsThatValue) {
  const double value = 5;
  for (const double percent : {0, 50, 99, 100})
    EXPECT_DOUBLE_EQ(percentile({&value, 1}, percent), 5);
}

TEST(Percentile, OfZeroToAHundredIsItself) {
  std::vector<double> values(101);
  std::iota(values.begin(), values.end(), 0);
  for (const double percent : {1, 50, 90, 99})
    EXPECT_NEAR(percentile(values, percent), percent, 1e-9);
}

TEST(Latency, SortsWhatItIsGiven) {
  const Latency latency = latency_of({4, 1, 8, 2});
  EXPECT_DOUBLE_EQ(latency.mean, 3.75);
  EXPECT_DOUBLE_EQ(latency.p50, 3);
  EXPECT_DOUBLE_EQ(latency.most, 8);
}

TEST(LevelSummary, CountsFromWhenRequestsWereDue) {
  const std::vector samples = {answered(1, 1.5, 3, 20), answered(2, 2.25, 5, 60)};
  const LevelSummary summary = summarize(samples);
  EXPECT_EQ(summary.requests, 2);
  EXPECT_EQ(summary.answered, 2);
  EXPECT_DOUBLE_EQ(summary.seconds, 4);
  EXPECT_EQ(summary.prompt_tokens, 20);
  EXPECT_DOUBLE_EQ(summary.tokens_per_second(), 20);
  EXPECT_DOUBLE_EQ(summary.requests_per_second(), 0.5);
  EXPECT_DOUBLE_EQ(summary.first_text.mean, 375);
  EXPECT_DOUBLE_EQ(summary.whole.most, 3000);
}

TEST(LevelSummary, LeavesFailuresOutOfTokensAndTimesButNotOutOfTheSeconds) {
  RequestSample failed{0, 9, 9, 0, 500, "HTTP 429: full"};
  const std::vector samples = {answered(0, 1, 4, 20), failed, failed};
  const LevelSummary summary = summarize(samples);
  EXPECT_EQ(summary.requests, 3);
  EXPECT_EQ(summary.answered, 1);
  EXPECT_EQ(summary.errors, (std::map<std::string, int>{{"HTTP 429: full", 2}}));
  EXPECT_DOUBLE_EQ(summary.seconds, 9);
  EXPECT_EQ(summary.output_tokens, 20);
  EXPECT_DOUBLE_EQ(summary.whole.p99, 4000);
}

TEST(LevelSummary, TellsAFewErrorsApartAndCountsTheRestTogether) {
  std::vector<RequestSample> samples(20);
  for (std::size_t i = 0; i < samples.size(); ++i) samples[i].error = std::to_string(i);
  const auto errors = summarize(samples).errors;
  EXPECT_EQ(errors.size(), 9u);
  EXPECT_EQ(errors.at("others"), 12);
}

TEST(LevelSummary, OfNoAnswersIsZero) {
  RequestSample failed{0, 0, 0, 0, 0, "cannot connect"};
  const LevelSummary summary = summarize({&failed, 1});
  EXPECT_DOUBLE_EQ(summary.tokens_per_second(), 0);
  EXPECT_DOUBLE_EQ(summary.whole.p50, 0);
}

TEST(PoissonArrivals, AreTheSameForASeedAndOthersForAnother) {
  EXPECT_EQ(poisson_arrivals(2, 50, 7), poisson_arrivals(2, 50, 7));
  EXPECT_NE(poisson_arrivals(2, 50, 7), poisson_arrivals(2, 50, 8));
}

TEST(PoissonArrivals, AscendFromZero) {
  const auto times = poisson_arrivals(5, 1000, 1);
  EXPECT_EQ(times.front(), 0);
  EXPECT_TRUE(std::ranges::is_sorted(times));
}

TEST(PoissonArrivals, HaveGapsWithTheMeanAndSpreadOfAnExponential) {
  constexpr int kCount = 20'001;
  const auto times = poisson_arrivals(4, kCount, 3);
  EXPECT_NEAR(times.back() / (kCount - 1), 0.25, 0.01);
  int longer = 0;  // than the mean: a share of 1 / e
  for (int i = 1; i < kCount; ++i) longer += times[i] - times[i - 1] > 0.25 ? 1 : 0;
  EXPECT_NEAR(longer / double(kCount - 1), 0.3679, 0.02);
}

TEST(MetricSum, AddsAMetricsLabels) {
  constexpr std::string_view kText =
      "# HELP passes_total Steps\n# TYPE passes_total counter\n"
      "passes_total{replica=\"0\"} 12\npasses_total{replica=\"1\"} 1.5e3\n"
      "passes_total_more 7\nload 0.25\n";
  EXPECT_EQ(metric_sum(kText, "passes_total"), 1512);
  EXPECT_EQ(metric_sum(kText, "load"), 0.25);
  EXPECT_EQ(metric_sum(kText, "passes"), std::nullopt);
  EXPECT_EQ(metric_sum("", "load"), std::nullopt);
}

}  // namespace
}  // namespace rubato
