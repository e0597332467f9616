#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "benchmarks/serving/sample.h"

namespace rubato {

/// The value below which `percent` of the values lie, interpolated linearly: 0 gives the least, 50
/// the median, 100 the greatest. `ascending` must not be empty.
double percentile(std::span<const double> ascending, double percent);

/// Milliseconds of a level's answered requests; all 0 where there are none.
struct Latency {
  double mean = 0;
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double most = 0;
};

Latency latency_of(std::vector<double> milliseconds);

/// The summary of a level's samples.
struct LevelSummary {
  int requests = 0;
  int answered = 0;
  std::map<std::string, int> errors;  ///< by message; "others" after the first few
  double seconds = 0;                 ///< from the first request's time to the last answer
  std::int64_t prompt_tokens = 0;
  std::int64_t output_tokens = 0;
  Latency first_text;  ///< since the request was due
  Latency whole;       ///< likewise, to the end of the answer

  double tokens_per_second() const { return seconds > 0 ? double(output_tokens) / seconds : 0; }
  double requests_per_second() const { return seconds > 0 ? answered / seconds : 0; }
};

/// Tokens and latencies are those of answered requests; `seconds` is that of all.
LevelSummary summarize(std::span<const RequestSample> samples);

}  // namespace rubato
