#include <sstream>

#include "benchmarks/long/report.h"
#include "benchmarks/policies/text_table.h"

namespace rubato {
namespace {

std::string mebibytes(double bytes) {
  return fixed(bytes / (1 << 20), 1);
}

/// Median milliseconds and rows of a sort of step; dashes where there was none.
void add_sort(const std::map<std::optional<int>, StepSort>& sorts,
              std::optional<int> boundary,
              std::vector<std::string>& row) {
  const auto found = sorts.find(boundary);
  const bool seen = found != sorts.end();
  row.push_back(seen ? fixed(found->second.median_ms, 2) : "-");
  row.push_back(seen ? std::to_string(found->second.rows) : "-");
}

std::string canvas_block(std::span<const LongMeasurement> measurements, const LongSetup& setup) {
  TextTable table(/*left_columns=*/1);
  table.add({"policy",
             "steps",
             "ms/step",
             "tokens/s",
             "rows/step",
             "reuse ms",
             "rows",
             "full ms",
             "rows",
             "collectives",
             "resident MiB"});
  for (const LongMeasurement& m : measurements) {
    const auto sorts = m.sorts();
    std::vector<std::string> row = {m.contender,
                                    std::to_string(m.steps.size()),
                                    fixed(m.ms_per_step(), 2),
                                    fixed(m.tokens_per_second(), 1),
                                    fixed(m.rows_per_step(), 1)};
    add_sort(sorts, std::nullopt, row);
    add_sort(sorts, 0, row);
    row.push_back(fixed(100 * m.collective_share(), 1) + " %");
    row.push_back(mebibytes(static_cast<double>(m.resident_bytes)));
    table.add(std::move(row));
  }
  const int canvas = measurements.front().canvas;
  return "\ncanvas " + std::to_string(canvas) + ", cache " +
         mebibytes(static_cast<double>(canvas * setup.cache_bytes_per_token)) + " MiB\n" +
         table.text();
}

std::string partial_block(std::span<const LongMeasurement> measurements) {
  TextTable table(/*left_columns=*/1);
  table.add({"policy", "canvas", "from layer", "steps", "ms", "rows"});
  int rows = 0;
  for (const LongMeasurement& m : measurements) {
    for (const auto& [boundary, sort] : m.sorts()) {
      if (!boundary || *boundary == 0) continue;
      ++rows;
      table.add({m.contender,
                 std::to_string(m.canvas),
                 std::to_string(*boundary),
                 std::to_string(sort.count),
                 fixed(sort.median_ms, 2),
                 std::to_string(sort.rows)});
    }
  }
  return rows == 0 ? ""
                   : "\nsteps that refreshed some layers, by the first of them\n" + table.text();
}

std::string growth_block(std::span<const LongMeasurement> measurements) {
  TextTable table(/*left_columns=*/2);
  table.add({"policy", "of", "canvases", "exponent"});
  const std::vector<CostGrowth> all = growths(measurements);
  for (const CostGrowth& cost : all) {
    table.add({cost.contender,
               cost.what,
               std::to_string(cost.canvases.size()),
               fixed(cost.growth.exponent, 2)});
  }
  return all.empty() ? "" : "\nmilliseconds grow with the canvas to the power of\n" + table.text();
}

constexpr const char* kLegend =
    "steps: the first ones of a generation, its full forward included. ms and rows of a reuse step "
    "and of\n"
    "a full one: median, and the mean of rows computed, summed over layers. collectives: the share "
    "of the\n"
    "steps' time that rank 0 spent in them, waiting for other ranks included. resident: all memory "
    "of\n"
    "rank 0 after the measurement; it is kept once taken.\n";

constexpr const char* kRandomLegend =
    "Random weights: steps cost what a trained model's cost; how many tokens a step commits (here "
    "next to\n"
    "always one) and how often attention drifts say nothing of any trained model.\n";

}  // namespace

std::string to_table(std::span<const LongMeasurement> all, const LongSetup& setup) {
  std::ostringstream out;
  out << describe(setup.provenance) << setup.model << ", " << setup.dtype << '\n';
  for (std::size_t begin = 0, end = 0; begin < all.size(); begin = end) {
    while (end < all.size() && all[end].canvas == all[begin].canvas) ++end;
    out << canvas_block(all.subspan(begin, end - begin), setup);
  }
  out << partial_block(all) << growth_block(all) << '\n'
      << kLegend << (setup.random ? kRandomLegend : "");
  return std::move(out).str();
}

}  // namespace rubato
