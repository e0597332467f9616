#include <sstream>

#include "benchmarks/policies/text_table.h"
#include "benchmarks/serving/report.h"

namespace rubato {
namespace {

constexpr const char* kLegend =
    "tokens: those of answered requests, as usage.completion_tokens counts them. tokens/s and "
    "answers/s:\n"
    "over the time from a level's first request to its last answer. speed: against the first "
    "line.\n"
    "text: from when a request was due to its first text; whole: to its end; both in ms, "
    "percentiles "
    "of\n"
    "answered requests. queue: mean ms from submission to admission, by the server's metrics.\n";

std::string list(const std::vector<std::string>& names) {
  std::string listed;
  for (const std::string& name : names) listed += (listed.empty() ? "" : ", ") + name;
  return listed;
}

std::vector<std::string> line(const LevelReport& report, double base) {
  const LevelSummary& s = report.summary;
  const bool has_queue = report.work && report.work->queue_ms;
  return {report.level.name(),
          std::to_string(s.requests),
          std::to_string(s.requests - s.answered),
          fixed(s.requests_per_second(), 2),
          fixed(s.tokens_per_second(), 1),
          fixed(base > 0 ? s.tokens_per_second() / base : 0, 2) + " x",
          fixed(s.first_text.p50, 0),
          fixed(s.first_text.p99, 0),
          fixed(s.whole.p50, 0),
          fixed(s.whole.p99, 0),
          has_queue ? fixed(*report.work->queue_ms, 1) : "-"};
}

}  // namespace

std::string to_table(const Sweep& sweep, const SweepOptions& options, const SweepSetup& setup) {
  std::ostringstream out;
  out << sweep.model << " at " << setup.url;
  if (!sweep.server_version.empty()) out << ", version " << sweep.server_version;
  out << "; questions of " << list(setup.tasks) << "; max_tokens " << options.length << ", seed "
      << options.seed << "\n\n";
  TextTable table(/*left_columns=*/1);
  table.add({"load",
             "requests",
             "errors",
             "answers/s",
             "tokens/s",
             "speed",
             "text p50",
             "p99",
             "whole p50",
             "p99",
             "queue"});
  for (const LevelReport& report : sweep.levels)
    table.add(line(report, sweep.levels.front().summary.tokens_per_second()));
  out << table.text() << '\n' << kLegend;
  for (const LevelReport& report : sweep.levels)
    for (const auto& [error, count] : report.summary.errors)
      out << report.level.name() << ": " << count << " x " << error << '\n';
  return std::move(out).str();
}

}  // namespace rubato
