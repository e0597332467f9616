#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/metrics/engine_metrics.h"
#include "http/metrics/server_metrics.h"

namespace rubato {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;

EngineStatus busy() {
  EngineStatus status;
  status.ready = true;
  status.running = 3;
  status.waiting = 2;
  status.cache_tokens_total = 100;
  status.cache_tokens_used = 40;
  status.counters.prompt_tokens = 12;
  status.counters.boundaries.observe(0);
  status.counters.boundaries.observe(3);
  status.counters.boundaries.observe(1000);
  status.counters.similarities.observe(0.875);
  status.times.kinds[1] = {.steps = 4, .nanoseconds = {0, 0, 1'500'000'000}};
  status.collective_s = 0.25;
  status.heartbeat_age_s = 0.125;
  return status;
}

TEST(EngineMetrics, TellOfEachReplica) {
  ServerMetrics metrics;
  EngineStatus idle;
  const std::string text = metrics.expose(std::vector{busy(), idle});
  EXPECT_THAT(text, HasSubstr("rubato_num_requests_running{replica=\"0\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("rubato_num_requests_running{replica=\"1\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("rubato_num_requests_waiting{replica=\"0\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("rubato_cache_tokens_free{replica=\"0\"} 60\n"));
  EXPECT_THAT(text, HasSubstr("rubato_ready{replica=\"0\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("rubato_ready{replica=\"1\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE rubato_prompt_tokens_total counter\n"));
  EXPECT_THAT(text, HasSubstr("rubato_prompt_tokens_total{replica=\"0\"} 12\n"));
}

TEST(EngineMetrics, TellWhereTheTimeOfStepsWent) {
  ServerMetrics metrics;
  const std::string text = metrics.expose(std::vector{EngineStatus(), busy()});
  for (const char* line :
       {"rubato_steps_total{replica=\"1\",kind=\"partial\"} 4\n",
        "rubato_steps_total{replica=\"0\",kind=\"full\"} 0\n",
        "rubato_step_time_seconds_total{replica=\"1\",kind=\"partial\",phase=\"reduce\"} 1.5\n",
        "rubato_step_time_seconds_total{replica=\"0\",kind=\"reuse\",phase=\"plan\"} 0\n",
        "rubato_collective_time_seconds_total{replica=\"1\"} 0.25\n",
        "rubato_heartbeat_age_seconds{replica=\"1\"} 0.125\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(EngineMetrics, HistogramsAreCumulative) {
  ServerMetrics metrics;
  const std::string text = metrics.expose(std::vector{busy()});
  for (const char* line : {"rubato_refresh_boundary_bucket{replica=\"0\",le=\"0\"} 1\n",
                           "rubato_refresh_boundary_bucket{replica=\"0\",le=\"2\"} 1\n",
                           "rubato_refresh_boundary_bucket{replica=\"0\",le=\"4\"} 2\n",
                           "rubato_refresh_boundary_bucket{replica=\"0\",le=\"64\"} 2\n",
                           "rubato_refresh_boundary_bucket{replica=\"0\",le=\"+Inf\"} 3\n",
                           "rubato_refresh_boundary_count{replica=\"0\"} 3\n",
                           "rubato_refresh_boundary_sum{replica=\"0\"} 1003\n",
                           "rubato_drift_similarity_sum{replica=\"0\"} 0.875\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(ServerMetrics, CountAnswersByRouteAndPutNoClientsTextInALabel) {
  ServerMetrics metrics;
  metrics.tell_build("1.0", "tiny");
  metrics.count_answer("/v1/completions", 200);
  metrics.count_answer("/v1/completions", 200);
  metrics.count_answer("/v1/models/secret", 404);
  metrics.count_answer("/secret", 404);
  const std::string text = metrics.expose({});
  EXPECT_THAT(text,
              HasSubstr("rubato_http_answers_total{route=\"/v1/completions\",status=\"200\"} 2\n"));
  EXPECT_THAT(text,
              HasSubstr("rubato_http_answers_total{route=\"/v1/models/{id}\",status=\"404\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("rubato_http_answers_total{route=\"other\",status=\"404\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("secret")));
  EXPECT_THAT(text, HasSubstr("rubato_build_info{model_name=\"tiny\",version=\"1.0\"} 1\n"));
}

class GenerationTimesTest : public ::testing::Test {
 protected:
  Answer answer(int length) {
    GenerationRequest request;
    request.prompt = {0};
    request.max_tokens = length;
    return Answer(tokenizer_, request, {});
  }

  static GenerationUpdate commits(Position from, Position to, bool finished) {
    GenerationUpdate update;
    for (Position p = from; p < to; ++p) update.commits.push_back({1 + p, 20});
    update.finished = finished;
    return update;
  }

  std::string exposed() const { return metrics_.expose({}); }

  const Tokenizer tokenizer_ =
      Tokenizer::load(RUBATO_SOURCE_DIR "/models/llada-tiny/tokenizer.json").value();
  ServerMetrics metrics_;
  const GenerationTimes::Clock::time_point start_ = {};
};

TEST_F(GenerationTimesTest, TellFirstTokenTimePerTokenAndTheWhole) {
  GenerationTimes times(metrics_, 1, start_);
  Answer filling = answer(6);
  filling.add(commits(3, 4, false));  // behind a mask: no token of the text yet
  times.note(0, filling, start_ + milliseconds(125));
  filling.add(commits(0, 2, false));
  times.note(0, filling, start_ + milliseconds(250));
  filling.add(commits(2, 3, false));
  filling.add(commits(4, 6, true));
  times.note(0, filling, start_ + milliseconds(1250));
  times.note(0, filling, start_ + milliseconds(5000));  // told once
  EXPECT_THAT(exposed(), HasSubstr("rubato_time_to_first_token_seconds_sum 0.25\n"));
  EXPECT_THAT(exposed(), HasSubstr("rubato_request_time_per_output_token_seconds_sum 0.25\n"));
  EXPECT_THAT(exposed(), HasSubstr("rubato_e2e_request_latency_seconds_sum 1.25\n"));
  EXPECT_THAT(exposed(), HasSubstr("rubato_request_success_total{finished_reason=\"length\"} 1\n"));
}

TEST_F(GenerationTimesTest, WhatIsNotCompleteWasAbortedOrFailed) {
  { GenerationTimes left(metrics_, 2, start_); }
  {
    GenerationTimes failed(metrics_, 1, start_);
    failed.fail();
  }
  EXPECT_THAT(exposed(), HasSubstr("rubato_request_success_total{finished_reason=\"abort\"} 2\n"));
  EXPECT_THAT(exposed(), HasSubstr("rubato_request_success_total{finished_reason=\"error\"} 1\n"));
  EXPECT_THAT(exposed(), HasSubstr("rubato_request_success_total{finished_reason=\"stop\"} 0\n"));
  EXPECT_THAT(exposed(), HasSubstr("rubato_e2e_request_latency_seconds_count 0\n"));
}

}  // namespace
}  // namespace rubato
