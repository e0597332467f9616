#include "benchmarks/long/measure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "benchmarks/long/random_checkpoint.h"
#include "tests/benchmarks/long/step_engine.h"

namespace rubato {
namespace {

using ::testing::HasSubstr;

class MeasureLong : public ::testing::Test {
 protected:
  Result<std::vector<LongMeasurement>> measure(std::vector<std::string> names) {
    std::vector<Contender> contenders;
    for (const std::string& name : names) contenders.push_back(parse_contender(name).value());
    return measure_long(
        contenders,
        options_,
        config_of({}),
        engine_,
        [this] { return engine_.collective_nanoseconds(); },
        [this](const LongProgress& progress) { last_ = progress; });
  }

  LongOptions options_{.canvases = {64, 32}, .prompt = 8, .limits = {.steps = 9}, .repeat = 1};
  testing::StepEngine engine_;
  LongProgress last_;
};

TEST_F(MeasureLong, GoesThroughPoliciesWithinCanvasesInAscendingOrder) {
  const auto measured = measure({"none", "elastic:gamma=0.5"});
  ASSERT_TRUE(measured.ok()) << measured.error().message;
  ASSERT_EQ(measured->size(), 4u);
  EXPECT_EQ((*measured)[0].canvas, 32);
  EXPECT_EQ((*measured)[1].contender, "elastic:gamma=0.5");
  EXPECT_EQ((*measured)[1].request.policy.gamma, 0.5);
  EXPECT_EQ((*measured)[2].canvas, 64);
  EXPECT_EQ(last_.done, 4);
  EXPECT_EQ(last_.total, 4);
}

TEST_F(MeasureLong, AsksForACanvasOfThatLengthWithoutEnds) {
  ASSERT_TRUE(measure({"none"}).ok());
  for (const GenerationRequest& request : engine_.requests) {
    EXPECT_EQ(request.prompt.size(), 8u);
    EXPECT_TRUE(request.ignore_eos);
    for (const TokenId id : request.prompt) EXPECT_LT(id, config_of({}).eos_token_id);
  }
  EXPECT_EQ(engine_.requests.back().canvas_length(), 64);
}

TEST_F(MeasureLong, KeepsTheFirstStepsAndTheEnginesOwnTimes) {
  const auto measured = measure({"elastic"});
  ASSERT_TRUE(measured.ok());
  const LongMeasurement& m = measured->front();
  ASSERT_EQ(m.steps.size(), 9u);
  EXPECT_NEAR(m.seconds(), 1e-6 * 32 * (32 + 8), 1e-12);
  EXPECT_NEAR(m.ms_per_step(), 1e-3 * 32 * (32 + 8) / 9, 1e-9);
  EXPECT_EQ(m.tokens(), 9);
  EXPECT_NEAR(m.collective_share(), 0.25, 1e-3);
  EXPECT_NEAR(m.rows_per_step(), (32 + 8) / 9.0, 1e-9);
}

TEST_F(MeasureLong, SortsStepsByTheLayerTheyRefreshFrom) {
  const auto measured = measure({"elastic"});
  ASSERT_TRUE(measured.ok());
  const auto sorts = measured->front().sorts();
  ASSERT_EQ(sorts.size(), 3u);
  EXPECT_EQ(sorts.at(0).count, 1);
  EXPECT_EQ(sorts.at(0).rows, 32);
  EXPECT_NEAR(sorts.at(0).median_ms, 1e-3 * 32 * 32, 1e-9);
  EXPECT_EQ(sorts.at(3).count, 2);
  EXPECT_EQ(sorts.at(std::nullopt).count, 6);
  EXPECT_EQ(sorts.at(std::nullopt).rows, 1);
}

TEST_F(MeasureLong, PoolsRepetitionsAndDoesNotCountTheWarmUp) {
  options_.repeat = 2;
  options_.canvases = {32};
  const auto measured = measure({"none"});
  ASSERT_TRUE(measured.ok());
  EXPECT_EQ(measured->front().steps.size(), 18u);
  EXPECT_EQ(engine_.requests.size(), 3u);
  EXPECT_GE(engine_.steps_made.front(), 2);
}

TEST_F(MeasureLong, AShortCanvasEndsByItself) {
  options_.canvases = {12};
  const auto measured = measure({"none"});
  ASSERT_TRUE(measured.ok());
  EXPECT_EQ(measured->front().steps.size(), 4u);
}

TEST_F(MeasureLong, ABudgetThatIsSpentLeavesTwoSteps) {
  options_.limits.budget = std::chrono::milliseconds(0);
  const auto measured = measure({"none"});
  ASSERT_TRUE(measured.ok());
  EXPECT_EQ(measured->front().steps.size(), 2u);
}

TEST_F(MeasureLong, MistakesAreNamedWithTheirContenderAndCanvas) {
  EXPECT_THAT(measure({"elastic:gama=1"}).error().message, HasSubstr("gama"));
  EXPECT_THAT(measure({"dual:block_length=5"}).error().message, HasSubstr("canvas 32"));
  options_.prompt = 32;
  EXPECT_THAT(measure({"none"}).error().message, HasSubstr("a prompt of 32"));
}

TEST_F(MeasureLong, AFailedGenerationEndsIt) {
  engine_.fail_at = 5;
  EXPECT_EQ(measure({"none"}).error().message, "lost");
}

}  // namespace
}  // namespace rubato
