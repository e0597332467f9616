#include "benchmarks/long/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace rubato {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// A full step of `canvas` squared nanoseconds, two reuse steps of `canvas` microseconds, and one
/// from layer 2.
LongMeasurement measurement(int canvas) {
  LongMeasurement m;
  m.canvas = canvas;
  m.contender = "elastic";
  m.request.policy.policy = find_policy("elastic");
  m.resident_bytes = 100 << 20;
  const double reuse_ms = canvas * 1e-3;
  m.steps = {{0, canvas * reuse_ms * 1e-3, 0, canvas * 4L, 1},
             {std::nullopt, reuse_ms, reuse_ms / 2, 68, 1},
             {std::nullopt, reuse_ms, 0, 68, 2},
             {2, reuse_ms * 2, 0, 400, 1}};
  return m;
}

const std::vector<LongMeasurement> kMeasured = {measurement(256), measurement(1024)};

const LongSetup kSetup{.provenance = {.version = "1",
                                      .commit = "abc",
                                      .command = "rubato bench long",
                                      .started = {},
                                      .ranks = 2,
                                      .threads = 1,
                                      .kernels = "avx2",
                                      .machine = {.cpu = "Abacus"}},
                       .model = "random weights",
                       .random = true,
                       .dtype = "float32",
                       .num_layers = 4,
                       .cache_bytes_per_token = 1 << 12};

TEST(CostGrowth, IsFittedForEachSortOfStep) {
  const auto growth = growths(kMeasured);
  ASSERT_EQ(growth.size(), 3u);
  EXPECT_EQ(growth[1].what, "reuse");
  EXPECT_NEAR(growth[1].growth.exponent, 1, 1e-9);
  EXPECT_EQ(growth[2].what, "full");
  EXPECT_NEAR(growth[2].growth.exponent, 2, 1e-9);
}

TEST(CostGrowth, OfOneCanvasIsNone) {
  EXPECT_TRUE(growths(std::span(kMeasured).first(1)).empty());
}

TEST(LongTable, HasABlockForEachCanvas) {
  const std::string table = to_table(kMeasured, kSetup);
  EXPECT_THAT(table, HasSubstr("\ncanvas 256, cache 1.0 MiB\n"));
  EXPECT_THAT(table, HasSubstr("\ncanvas 1024, cache 4.0 MiB\n"));
  EXPECT_THAT(table, HasSubstr("elastic      4"));
  EXPECT_THAT(table, HasSubstr("commit abc"));
}

TEST(LongTable, ListsRefreshesByTheirFirstLayer) {
  EXPECT_THAT(to_table(kMeasured, kSetup),
              HasSubstr("elastic    1024           2      1  2.05   400"));
}

TEST(LongTable, SaysThatWeightsAreRandom) {
  LongSetup trained = kSetup;
  trained.random = false;
  EXPECT_THAT(to_table(kMeasured, kSetup), HasSubstr("Random weights:"));
  EXPECT_THAT(to_table(kMeasured, trained), Not(HasSubstr("Random weights:")));
}

TEST(LongJson, HasStepsByBoundaryAndGrowth) {
  const auto report = boost::json::parse(to_json(kMeasured, kSetup)).as_object();
  EXPECT_EQ(report.at("random_weights"), true);
  const auto& first = report.at("results").as_array().front().as_object();
  EXPECT_EQ(first.at("canvas"), 256);
  EXPECT_EQ(first.at("cache_bytes"), 256 << 12);
  EXPECT_EQ(first.at("steps"), 4u);
  const auto& sorts = first.at("by_boundary").as_array();
  ASSERT_EQ(sorts.size(), 3u);
  EXPECT_TRUE(sorts[0].at("boundary").is_null());
  EXPECT_EQ(sorts[0].at("count"), 2);
  EXPECT_EQ(sorts[2].at("boundary"), 2);
  EXPECT_EQ(report.at("growth").as_array().size(), 3u);
}

}  // namespace
}  // namespace rubato
