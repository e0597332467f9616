#include <algorithm>
#include <sstream>

#include "benchmarks/policies/report.h"
#include "benchmarks/policies/text_table.h"

namespace rubato {
namespace {

std::string block(std::span<const Measurement> measurements) {
  TextTable table(/*left_columns=*/2);
  table.add({"policy",
             "commits",
             "right",
             "accuracy",
             "tokens/s",
             "speed",
             "passes",
             "tokens/pass",
             "refreshes",
             "rows"});
  const double base = measurements.front().tokens_per_second();
  for (const Measurement& m : measurements) {
    const auto each = [&](std::int64_t count) {
      return fixed(static_cast<double>(count) / std::max(1, m.questions), 1);
    };
    table.add({m.contender,
               describe_commit_rule(m.request),
               std::to_string(m.right) + "/" + std::to_string(m.questions),
               fixed(100 * m.accuracy(), 1) + " %",
               fixed(m.tokens_per_second(), 1),
               fixed(base > 0 ? m.tokens_per_second() / base : 0, 1) + " x",
               each(m.cost.forward_passes),
               fixed(m.tokens_per_pass(), 2),
               each(m.cost.refreshes),
               each(m.cost.rows_computed)});
  }
  return table.text();
}

constexpr const char* kPhaseLegend =
    "full: a forward pass over all rows. partial: a reuse pass and a refresh of some layers. "
    "reuse:\n"
    "a reuse pass alone. own: all that is neither forward pass nor collective (plan, decide, "
    "sample,\n"
    "finish), as a share of the step.\n";

constexpr const char* kLegend =
    "tokens: those returned, up to and including the stop, as usage.completion_tokens counts "
    "them;\n"
    "tokens/s over the time of generation alone (no loading, tokenizing or scoring). speed: "
    "against\n"
    "the first line. passes (forward passes, or steps), refreshes (steps that recomputed all rows "
    "of\n"
    "at least one layer) and rows (computed, summed over layers): means of an answer.\n";

}  // namespace

std::string to_table(const PolicyComparison& comparison, const BenchSetup& setup) {
  std::ostringstream out;
  out << setup.model << ", " << setup.dtype << ", " << setup.ranks << " rank(s) of "
      << setup.threads << " thread(s), " << setup.kernels << "; length " << comparison.length
      << ", " << comparison.concurrency << " sequence(s) at a time\n";
  const std::span<const Measurement> all = comparison.measurements;
  std::size_t num_tasks = 0;
  for (std::size_t begin = 0, end = 0; begin < all.size(); begin = end, ++num_tasks) {
    while (end < all.size() && all[end].task == all[begin].task) ++end;
    out << '\n' << all[begin].task << '\n' << block(all.subspan(begin, end - begin));
  }
  if (num_tasks > 1) out << "\nall tasks\n" << block(totals(comparison));
  for (const SkippedTask& skipped : comparison.skipped)
    out << '\n' << skipped.task << ": skipped, " << skipped.reason << '\n';
  if (num_tasks > 0) out << '\n' << kLegend;
  return std::move(out).str();
}

std::string to_phase_table(const PolicyComparison& comparison) {
  TextTable table(/*left_columns=*/2);
  std::vector<std::string> head = {"policy", "step", "count"};
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
      std::vector<std::string> row = {
          m.contender, to_string(StepKind(k)), std::to_string(times.steps)};
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
