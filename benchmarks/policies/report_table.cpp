#include <algorithm>
#include <set>
#include <sstream>

#include "benchmarks/common/statistics.h"
#include "benchmarks/policies/report.h"
#include "benchmarks/policies/text_table.h"

namespace rubato {
namespace {

std::string percent(double share) {
  return fixed(100 * share, 1) + " %";
}

std::vector<std::string> line(const Measurement& m, const BenchSetup& setup, double base) {
  const auto each = [&](std::int64_t count) {
    return fixed(static_cast<double>(count) / std::max(1, m.questions), 1);
  };
  const Interval interval = wilson_interval(m.right, m.questions);
  const double speed = m.tokens_per_second();
  return {m.contender,
          describe_commit_rule(m.request),
          std::to_string(m.right) + "/" + std::to_string(m.questions),
          percent(m.accuracy()),
          fixed(100 * interval.low, 1) + "-" + fixed(100 * interval.high, 1),
          fixed(speed, 1),
          m.seconds.size() > 1 ? percent(m.spread()) : "-",
          fixed(base > 0 ? speed / base : 0, 1) + " x",
          each(m.cost.forward_passes),
          fixed(m.tokens_per_pass(), 2),
          percent(m.refresh_share()),
          each(m.cost.rows_computed),
          fixed(setup.cache_bytes(m) / (1 << 20), 1)};
}

/// Measurements on the same task at the same length.
std::string block(std::span<const Measurement> measurements, const BenchSetup& setup) {
  TextTable table(/*left_columns=*/2);
  table.add({"policy",
             "commits",
             "right",
             "accuracy",
             "95 %",
             "tokens/s",
             "spread",
             "speed",
             "passes",
             "tokens/pass",
             "refreshed",
             "rows",
             "cache MiB"});
  const double base = measurements.front().tokens_per_second();
  for (const Measurement& m : measurements) table.add(line(m, setup, base));
  return "\n" + measurements.front().task + ", length " +
         std::to_string(measurements.front().length()) + "\n" + table.text();
}

/// A block for each run of the same task and length; returns how many.
int blocks(std::span<const Measurement> all, const BenchSetup& setup, std::ostream& out) {
  int count = 0;
  for (std::size_t begin = 0, end = 0; begin < all.size(); begin = end, ++count) {
    while (end < all.size() && all[end].task == all[begin].task &&
           all[end].length() == all[begin].length())
      ++end;
    out << block(all.subspan(begin, end - begin), setup);
  }
  return count;
}

constexpr const char* kPhaseLegend =
    "full: a forward pass over all rows. partial: a reuse pass and a refresh of some layers. "
    "reuse:\n"
    "a reuse pass alone. own: all that is neither forward pass nor collective (plan, decide, "
    "sample,\n"
    "finish), as a share of the step.\n";

constexpr const char* kLegend =
    "95 %: Wilson's interval of the accuracy. tokens: those returned, up to and including the "
    "stop, as\n"
    "usage.completion_tokens counts them; tokens/s over the time of generation alone (no loading,\n"
    "tokenizing or scoring), of the median repetition; spread: from the fastest to the slowest. "
    "speed:\n"
    "against the first line. refreshed: the share of passes that recomputed all rows of at least "
    "one\n"
    "layer. passes (forward passes, or steps), rows (computed, summed over layers) and cache: "
    "means "
    "of an\n"
    "answer; the cache is what its slot takes, whatever the policy reads of it.\n";

}  // namespace

std::string to_table(const PolicyComparison& comparison, const BenchSetup& setup) {
  std::ostringstream out;
  out << describe(setup.provenance) << setup.model << ", " << setup.dtype << ", "
      << comparison.concurrency << " sequence(s) at a time, " << comparison.repeat
      << " repetition(s)\n";
  const int measured = blocks(comparison.measurements, setup, out);
  const std::vector<Measurement> sums = totals(comparison);
  if (sums.size() < comparison.measurements.size()) blocks(sums, setup, out);
  for (const Skipped& skipped : comparison.skipped)
    out << '\n'
        << skipped.task << ", length " << skipped.length << ": skipped, " << skipped.reason << '\n';
  if (measured > 0) out << '\n' << kLegend;
  for (const Measurement& sum : sums) {
    if (!sum.repeats_alike)
      out << sum.contender << ", length " << sum.length()
          << ": its repetitions took different steps; counts are those of the first\n";
  }
  return std::move(out).str();
}

std::string to_boundary_table(const PolicyComparison& comparison) {
  const std::vector<Measurement> sums = totals(comparison);
  std::set<int> layers;
  for (const Measurement& m : sums)
    for (const auto& [layer, steps] : m.boundaries) layers.insert(layer);
  if (layers.empty()) return {};
  TextTable table(/*left_columns=*/1);
  std::vector<std::string> head = {"policy", "length", "none"};
  for (const int layer : layers) head.push_back(std::to_string(layer));
  table.add(std::move(head));
  for (const Measurement& m : sums) {
    std::vector<std::string> row = {m.contender,
                                    std::to_string(m.length()),
                                    std::to_string(m.cost.forward_passes - m.cost.refreshes)};
    for (const int layer : layers) {
      const auto found = m.boundaries.find(layer);
      row.push_back(std::to_string(found == m.boundaries.end() ? 0 : found->second));
    }
    table.add(std::move(row));
  }
  return "\nsteps by the first layer refreshed (0: a full forward), all tasks\n" + table.text();
}

std::string to_phase_table(const PolicyComparison& comparison) {
  TextTable table(/*left_columns=*/2);
  std::vector<std::string> head = {"policy", "step", "length", "count"};
  for (std::size_t p = 0; p < kNumPhases; ++p) head.push_back(to_string(Phase(p)));
  head.insert(head.end(), {"in all", "own"});
  table.add(std::move(head));
  for (const Measurement& m : totals(comparison)) {
    for (std::size_t k = 0; k < kNumStepKinds; ++k) {
      const PhaseTimes& times = m.times.kinds[k];
      if (times.steps == 0) continue;
      const auto each = [&](std::int64_t nanoseconds) {
        return fixed(static_cast<double>(nanoseconds) * 1e-3 / static_cast<double>(times.steps), 1);
      };
      std::vector<std::string> row = {m.contender,
                                      to_string(StepKind(k)),
                                      std::to_string(m.length()),
                                      std::to_string(times.steps)};
      for (const std::int64_t nanoseconds : times.nanoseconds) row.push_back(each(nanoseconds));
      const std::int64_t own = times.of(Phase::kPlan) + times.of(Phase::kDecide) +
                               times.of(Phase::kSample) + times.of(Phase::kFinish);
      row.push_back(each(times.total()));
      row.push_back(fixed(100 * static_cast<double>(own) / static_cast<double>(times.total()), 1) +
                    " %");
      table.add(std::move(row));
    }
  }
  return "\nmicroseconds a step, all tasks\n" + table.text() + '\n' + kPhaseLegend;
}

}  // namespace rubato
