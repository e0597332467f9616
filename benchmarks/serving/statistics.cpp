#include "benchmarks/serving/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace rubato {

namespace {

constexpr std::size_t kMostErrors = 8;  // told apart

}  // namespace

double percentile(std::span<const double> ascending, double percent) {
  const double place = percent / 100 * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(place));
  const std::size_t above = std::min(below + 1, ascending.size() - 1);
  const double share = place - static_cast<double>(below);
  return ascending[below] + share * (ascending[above] - ascending[below]);
}

Latency latency_of(std::vector<double> milliseconds) {
  if (milliseconds.empty()) return {};
  std::ranges::sort(milliseconds);
  const double sum = std::accumulate(milliseconds.begin(), milliseconds.end(), 0.0);
  return {.mean = sum / static_cast<double>(milliseconds.size()),
          .p50 = percentile(milliseconds, 50),
          .p90 = percentile(milliseconds, 90),
          .p99 = percentile(milliseconds, 99),
          .most = milliseconds.back()};
}

LevelSummary summarize(std::span<const RequestSample> samples) {
  LevelSummary summary;
  std::vector<double> first_text, whole;
  double begin = samples.empty() ? 0 : samples.front().due, end = begin;
  for (const RequestSample& sample : samples) {
    begin = std::min(begin, sample.due);
    end = std::max(end, sample.end);
    ++summary.requests;
    if (!sample.answered()) {
      const bool known = summary.errors.contains(sample.error);
      ++summary.errors[known || summary.errors.size() < kMostErrors ? sample.error : "others"];
      continue;
    }
    ++summary.answered;
    summary.prompt_tokens += sample.prompt_tokens;
    summary.output_tokens += sample.output_tokens;
    first_text.push_back(1e3 * (sample.first_text - sample.due));
    whole.push_back(1e3 * (sample.end - sample.due));
  }
  summary.seconds = end - begin;
  summary.first_text = latency_of(std::move(first_text));
  summary.whole = latency_of(std::move(whole));
  return summary;
}

}  // namespace rubato
