#include "tests/exactness/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/concat.h"

namespace rubato::testing {
namespace {

using reference::Decoded;

/// The positions that step `i` chose to be tracked in the next, where there is one.
std::vector<Position> chosen_by(const std::vector<StepTrace>& trace, std::size_t i) {
  return i + 1 < trace.size() ? trace[i + 1].tracked : std::vector<Position>{};
}

std::vector<StepTrace> traces(const Decoded& decoded) {
  std::vector<StepTrace> traces;
  for (const reference::Step& step : decoded.steps) traces.push_back(step.trace);
  return traces;
}

}  // namespace

Loaded::Loaded(const TestModel& model, int tp) {
  write_checkpoint(folder.path(), model);
  engine = std::make_unique<LocalEngine>(folder.path(), tp);
}

bool expect_same(const Decoded& decoded, const Generated& found, const std::string& what) {
  const std::vector<StepTrace> expected = traces(decoded);
  for (std::size_t i = 0; i < std::min(expected.size(), found.trace.size()); ++i) {
    const StepTrace &a = expected[i], &b = found.trace[i];
    const bool same = a.boundary == b.boundary && a.committed == b.committed &&
                      chosen_by(expected, i) == chosen_by(found.trace, i);
    const double margin = decoded.steps[i].margin;
    if (!same && margin < kTie) return true;
    const std::string where = concat(what, ", step ", i, ", margin ", margin);
    EXPECT_EQ(a.boundary, b.boundary) << where;
    EXPECT_EQ(a.committed, b.committed) << where;
    EXPECT_EQ(chosen_by(expected, i), chosen_by(found.trace, i)) << where;
    EXPECT_THAT(b.similarity, ::testing::Pointwise(::testing::DoubleNear(1e-5), a.similarity))
        << where;
    if (!same) return false;
  }
  EXPECT_EQ(expected.size(), found.trace.size()) << what;
  EXPECT_EQ(decoded.canvas, found.canvas) << what;
  return false;
}

void expect_same(const Generated& a, const Generated& b, const std::string& what) {
  EXPECT_EQ(a.canvas, b.canvas) << what;
  EXPECT_EQ(a.stats, b.stats) << what;
  ASSERT_EQ(a.trace.size(), b.trace.size()) << what;
  for (std::size_t step = 0; step < a.trace.size(); ++step) {
    EXPECT_EQ(a.trace[step].boundary, b.trace[step].boundary) << what << ", step " << step;
    EXPECT_EQ(a.trace[step].tracked, b.trace[step].tracked) << what << ", step " << step;
    EXPECT_EQ(a.trace[step].committed, b.trace[step].committed) << what << ", step " << step;
    EXPECT_EQ(a.trace[step].similarity, b.trace[step].similarity) << what << ", step " << step;
  }
}

std::string describe(const World& world, std::size_t request) {
  return concat(world.name, " ", request, " (", world.requests[request].policy.policy->name, ")");
}

}  // namespace rubato::testing
