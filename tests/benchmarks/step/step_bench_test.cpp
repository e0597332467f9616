#include "benchmarks/step/step_bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace rubato {
namespace {

/// 2 layers of 2 heads: q, k, v and output of 4 x 4 = 16 weights each, gate, up and down of 4 x 6 =
/// 24; a head of 4 x 10 = 40. So a layer has 4 * 16 + 3 * 24 = 136, and 48 of them make q, k, v.
ModelShape small(Storage storage = Storage::kFloat32) {
  return *shape_named("4,2,2,6,10", storage);
}

TEST(StepWork, OfAReusePassReadsAllLayersAndTheHead) {
  const StepWork work = work_of(small(), {.rows = 3, .canvas = 5});
  // 2 * 136 + 40 weights; keys and values of 5 positions, 4 wide, in 2 layers.
  EXPECT_DOUBLE_EQ(work.gigabytes * 1e9, 4 * (272 + 40 + 2 * 5 * 4 * 2));
  // 3 rows in the layers and, all of them eligible, in the head; each against 5 keys and values.
  EXPECT_DOUBLE_EQ(work.teraflop * 1e12, 2 * 3 * 272 + 2 * 3 * 40 + 4 * 3 * 5 * 4 * 2);
}

TEST(StepWork, OfSeveralSequencesReadsTheWeightsOnce) {
  const StepWork work =
      work_of(small(Storage::kBFloat16), {.rows = 3, .canvas = 5, .sequences = 7});
  EXPECT_DOUBLE_EQ(work.gigabytes * 1e9, 2 * (272 + 40 + 7 * 2 * 5 * 4 * 2));
  EXPECT_DOUBLE_EQ(work.teraflop * 1e12, 7 * (2 * 3 * 272 + 2 * 3 * 40 + 4 * 3 * 5 * 4 * 2));
}

TEST(StepWork, TheHeadSeesSixteenRowsOfASequenceAtMost) {
  const StepWork work = work_of(small(), {.rows = 20, .canvas = 30});
  EXPECT_DOUBLE_EQ(work.teraflop * 1e12, 2 * 20 * 272 + 2 * 16 * 40 + 4 * 20 * 30 * 4 * 2);
}

TEST(StepWork, OfAFullRefreshComputesAllRowsInAllLayers) {
  const StepWork work = work_of(small(), {.canvas = 5});
  EXPECT_DOUBLE_EQ(work.gigabytes * 1e9, 4 * (272 + 40 + 2 * 5 * 4 * 2));
  EXPECT_DOUBLE_EQ(work.teraflop * 1e12, 2 * 5 * 272 + 2 * 5 * 40 + 4 * 5 * 5 * 4 * 2);
}

TEST(StepWork, OfARefreshFromALaterLayerTakesItsProjectionsFromTheCache) {
  const StepWork work = work_of(small(), {.canvas = 5, .boundary = 1});
  EXPECT_DOUBLE_EQ(work.gigabytes * 1e9, 4 * (136 - 48 + 40 + 2 * 5 * 4));
  EXPECT_DOUBLE_EQ(work.teraflop * 1e12, 2 * 5 * (136 - 48) + 2 * 5 * 40 + 4 * 5 * 5 * 4);
}

TEST(StepWork, WeightsInFloat8AreAByteEachButForTheHeads) {
  ModelShape shape = small(Storage::kBFloat16);
  shape.float8 = true;
  const StepWork work = work_of(shape, {.rows = 3, .canvas = 5});
  EXPECT_DOUBLE_EQ(work.gigabytes * 1e9, 272 + 2 * (40 + 2 * 5 * 4 * 2));
}

// What docs/performance.md says of the steps that are aimed at.
TEST(StepWork, OfLlada8bIsWhatTheGoalsAreMeasuredAgainst) {
  const ModelShape shape = *shape_named("llada-8b", Storage::kBFloat16);
  const StepWork reuse = work_of(shape, {.rows = 64, .canvas = 768});
  EXPECT_NEAR(reuse.gigabytes, 15.397, 5e-4);
  EXPECT_NEAR(reuse.teraflop, 0.936, 5e-4);
  const StepWork refresh = work_of(shape, {.canvas = 768});
  EXPECT_NEAR(refresh.gigabytes, 15.397, 5e-4);
  EXPECT_NEAR(refresh.teraflop, 11.046, 5e-4);
  const StepWork batch = work_of(shape, {.rows = 28, .canvas = 768, .sequences = 32});
  EXPECT_NEAR(batch.gigabytes, 27.880, 5e-4);
  EXPECT_NEAR(batch.teraflop, 13.398, 5e-4);
}

TEST(StepFloor, IsTheLongerOfReadingAndComputing) {
  const StepWork work{.gigabytes = 3, .teraflop = 2};
  EXPECT_DOUBLE_EQ(floor_ms(work, {.gigabytes_per_second = 1000, .teraflops = 1000}), 3);
  EXPECT_DOUBLE_EQ(floor_ms(work, {.gigabytes_per_second = 1000, .teraflops = 500}), 4);
}

TEST(StepFloor, IsNotKnownWhereALimitIsNot) {
  EXPECT_EQ(floor_ms({3, 2}, {.gigabytes_per_second = 0, .teraflops = 500}), 0);
  EXPECT_EQ(floor_ms({3, 2}, {.gigabytes_per_second = 1000, .teraflops = 0}), 0);
}

TEST(StepDrift, TakesThreeSumsALayerAndTwoAHeadForEachTrackedRowAndKey) {
  // 16 of 40 rows are eligible, 16 of the others tracked; 4 bytes * (3 * 2 layers + 2 * 2 heads).
  EXPECT_EQ(drift_bytes_of(small(), {.rows = 40, .canvas = 50, .sequences = 3}),
            3 * 16 * 50 * 4 * (3 * 2 + 2 * 2));
  EXPECT_EQ(drift_bytes_of(small(), {.rows = 18, .canvas = 50}), 2 * 50 * 4 * (3 * 2 + 2 * 2));
}

TEST(StepDrift, TakesNothingWhereNothingIsTracked) {
  EXPECT_EQ(drift_bytes_of(small(), {.rows = 16, .canvas = 50}), 0);
  EXPECT_EQ(drift_bytes_of(small(), {.canvas = 50}), 0);
}

TEST(StepShape, IsANameOrFiveNumbers) {
  EXPECT_EQ(shape_named("llada-8b", Storage::kBFloat16)->vocabulary, 126464);
  EXPECT_EQ(small().mlp_width, 6);
  for (const char* bad :
       {"large", "4,2,2,6", "4,2,2,6,10,1", "4,2,2,6,x", "4,2,2,0,10", "6,2,2,6,10"})
    EXPECT_FALSE(shape_named(bad, Storage::kFloat32)) << bad;
}

TEST(StepReport, HasEverythingThatWasMeasured) {
  const StepResult known{.step = {.rows = 3, .canvas = 5, .sequences = 2},
                         .median_ms = 2,
                         .least_ms = 1.5,
                         .work = {.gigabytes = 0.25, .teraflop = 0.125},
                         .floor_ms = 0.5};
  StepResult unknown;
  unknown.step = {.canvas = 5, .boundary = 1};
  StepSetup setup;
  setup.provenance.commit = "abc";
  setup.device = "a \"CPU\"";
  setup.limits = {.gigabytes_per_second = 500, .teraflops = 1};
  const boost::json::value report = boost::json::parse(to_json({known, unknown}, setup));
  EXPECT_EQ(report.at("commit"), "abc");
  EXPECT_EQ(report.at("device"), "a \"CPU\"");
  EXPECT_EQ(report.at("gigabytes_per_second"), 500.0);
  EXPECT_EQ(report.at("steps").at(0),
            boost::json::parse(R"({"rows": 3, "canvas": 5, "boundary": 0, "sequences": 2,
              "median_ms": 2.0, "least_ms": 1.5, "gigabytes": 0.25, "teraflop": 0.125, "floor_ms": 0.5})"));
  EXPECT_TRUE(report.at("steps").at(1).at("floor_ms").is_null());
  EXPECT_EQ(report.at("steps").at(1).at("boundary"), 1);
}

}  // namespace
}  // namespace rubato
