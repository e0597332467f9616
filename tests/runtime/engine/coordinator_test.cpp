#include "runtime/engine/coordinator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "runtime/base/log.h"
#include "tests/runtime/engine/requests.h"
#include "tests/support/fake_engine.h"

namespace rubato::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::chrono::seconds kPatience{20};

/// What a sink has heard.
struct Heard {
  std::vector<GenerationUpdate> news;

  bool finished() const { return !news.empty() && news.back().finished; }
  bool failed() const { return !news.empty() && news.back().error.has_value(); }
};

class CoordinatorTest : public ::testing::Test {
 protected:
  /// Submits a request whose news go to `heard`; the handle is kept until the test's end.
  Status submit(Heard& heard, GenerationRequest request = request_of(2, 3)) {
    auto handle = coordinator().submit(
        std::move(request), [&heard](const GenerationUpdate& news) { heard.news.push_back(news); });
    if (!handle) return handle.error();
    handles_.push_back(std::move(*handle));
    return {};
  }

  Coordinator& coordinator() { return engine_.coordinator; }

  /// Makes steps while there is something to do.
  void run_dry() {
    while (coordinator().status().running + coordinator().status().waiting > 0) engine_.step();
  }

  FakeEngine engine_{
      {.scheduler = {.cache_tokens = 40, .max_sequences = 3}, .max_queued = 4, .max_context = 32}};
  std::vector<GenerationHandle> handles_;
};

TEST_F(CoordinatorTest, DeliversEachStepsNewsUpToTheLast) {
  Heard heard;
  ASSERT_TRUE(submit(heard).ok());
  run_dry();
  ASSERT_EQ(heard.news.size(), 3u);
  for (int step = 0; step < 3; ++step) {
    EXPECT_THAT(heard.news[step].commits, ElementsAre(Commit{2 + step, FakeEngine::kWord}));
    EXPECT_EQ(heard.news[step].finished, step == 2);
    EXPECT_EQ(heard.news[step].stats.forward_passes, step + 1);
    EXPECT_FALSE(heard.news[step].error);
    EXPECT_FALSE(heard.news[step].trace);
  }
}

TEST_F(CoordinatorTest, CountsWhatAGenerationCost) {
  Heard elastic, none;
  ASSERT_TRUE(submit(elastic).ok());
  ASSERT_TRUE(submit(none, request_of(2, 3, "none")).ok());
  run_dry();
  EXPECT_EQ(none.news.back().stats,
            (GenerationStats{
                .forward_passes = 3, .refreshes = 3, .rows_computed = 0, .layers_refreshed = 18}));
  EXPECT_EQ(elastic.news.back().stats.refreshes, 1);
  EXPECT_EQ(elastic.news.back().stats.layers_refreshed, 6);
}

TEST_F(CoordinatorTest, TracesWhereItIsAskedTo) {
  Heard heard;
  GenerationRequest request = request_of(2, 3);
  request.trace = true;
  ASSERT_TRUE(submit(heard, request).ok());
  run_dry();
  ASSERT_EQ(heard.news.size(), 3u);
  EXPECT_EQ(heard.news[0].trace->boundary, 0);
  EXPECT_THAT(heard.news[0].trace->committed, ElementsAre(Commit{2, FakeEngine::kWord}));
  EXPECT_EQ(heard.news[1].trace->boundary, std::nullopt);
  EXPECT_THAT(heard.news[1].trace->tracked, ElementsAre(0));
  EXPECT_THAT(heard.news[2].trace->tracked, ElementsAre(1));
}

TEST_F(CoordinatorTest, RefusesWhatCanNeverRun) {
  Heard heard;
  const Status beyond_context = submit(heard, request_of(30, 3));
  ASSERT_FALSE(beyond_context.ok());
  EXPECT_EQ(beyond_context.error().code, Code::kTooLong);
  EXPECT_THAT(beyond_context.error().message, HasSubstr("33 tokens; the context is 32"));
  EXPECT_TRUE(submit(heard, request_of(29, 3)).ok());

  Coordinator small({.scheduler = {.cache_tokens = 10}, .max_context = 32});
  const auto beyond_cache = small.submit(request_of(8, 3), [](const GenerationUpdate&) {});
  ASSERT_FALSE(beyond_cache.ok());
  EXPECT_EQ(beyond_cache.error().code, Code::kTooLong);
  EXPECT_THAT(beyond_cache.error().message, HasSubstr("11 tokens does not fit the cache of 10"));
}

TEST(CoordinatorDrift, ARequestWhoseDriftTestMayTakeTooMuchIsRefusedWithTheNumbers) {
  // 6 layers, 100 MiB: each pair of a tracked position and a key takes 1 MiB.
  Coordinator coordinator(
      {.scheduler = {.cache_tokens = 40},
       .drift = {.max_bytes = 100 << 20, .bytes_per_pair = 1 << 20, .num_layers = 6},
       .max_context = 32});
  const auto submit = [&](int track, int length, const char* policy) {
    GenerationRequest request = request_of(2, length - 2, policy);
    request.policy.track = track;
    return coordinator.submit(std::move(request), [](const GenerationUpdate&) {});
  };
  EXPECT_TRUE(submit(1, 16, "elastic").ok());    // 96 MiB
  EXPECT_TRUE(submit(32, 10, "horizon").ok());   // no more can be tracked than there is: 100 MiB
  EXPECT_TRUE(submit(32, 32, "interval").ok());  // makes no drift test
  const auto refused = submit(2, 16, "elastic");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
  EXPECT_EQ(refused.error().param, "diffusion.track");
  EXPECT_THAT(refused.error().message, HasSubstr("`diffusion.track` is 2"));
  EXPECT_THAT(refused.error().message, HasSubstr("may then take 192 MiB; at most 100"));
}

TEST(CoordinatorDrift, DriftTestsThatTakeTooMuchTogetherTakeTurns) {
  // A fake step tracks one position, so that a canvas of 8 takes 8 bytes.
  FakeEngine engine({.scheduler = {.cache_tokens = 100},
                     .drift = {.max_bytes = 20, .bytes_per_pair = 1, .num_layers = 1},
                     .max_context = 32});
  std::vector<std::vector<SequenceId>> runs;
  engine.on_plan = [&](const StepPlan& plan) { runs.push_back(plan.participants); };
  std::vector<GenerationHandle> handles;
  for (const char* policy : {"elastic", "elastic", "elastic", "none"}) {
    auto handle = engine.coordinator.submit(request_of(2, 6, policy), [](const auto&) {});
    ASSERT_TRUE(handle.ok());
    handles.push_back(std::move(*handle));
  }
  for (int step = 0; step < 4; ++step) engine.step();
  EXPECT_THAT(runs,
              ElementsAre(ElementsAre(1, 2, 3, 4),  // a full forward, without a test
                          ElementsAre(1, 2, 4),
                          ElementsAre(1, 3, 4),
                          ElementsAre(1, 2, 4)));
}

TEST_F(CoordinatorTest, RefusesWhatTheQueueHasNoPlaceFor) {
  Heard heard;
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(submit(heard).ok());
  const Status full = submit(heard);
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().code, Code::kOverloaded);
  EXPECT_THAT(full.error().message, HasSubstr("holds 4 generations"));
  engine_.step();  // three run now, one waits
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(submit(heard).ok());
  EXPECT_FALSE(submit(heard).ok());
}

TEST_F(CoordinatorTest, TellsItsLoad) {
  Heard heard;
  EXPECT_TRUE(coordinator().status().ready);
  EXPECT_EQ(coordinator().status().cache_tokens_total, 40);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(submit(heard).ok());
  EXPECT_EQ(coordinator().status().waiting, 4);
  engine_.step();
  EXPECT_EQ(coordinator().status().running, 3);
  EXPECT_EQ(coordinator().status().waiting, 1);
  EXPECT_EQ(coordinator().status().cache_tokens_used, 15);
  run_dry();
  EXPECT_EQ(coordinator().status().cache_tokens_used, 0);
}

TEST_F(CoordinatorTest, ACancelledGenerationThatWaitsIsNeverAdmitted) {
  Heard heard, other;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(submit(other).ok());
  ASSERT_TRUE(submit(heard).ok());
  handles_.back().cancel();
  std::vector<SequenceId> admitted;
  engine_.on_plan = [&](const StepPlan& plan) {
    for (const SequenceSpec& spec : plan.admissions) admitted.push_back(spec.id);
  };
  run_dry();
  EXPECT_THAT(admitted, ElementsAre(1, 2, 3));
  EXPECT_THAT(heard.news, IsEmpty());
}

TEST_F(CoordinatorTest, ACancelledGenerationThatRunsIsReleasedWithTheNextPlan) {
  Heard heard, other;
  ASSERT_TRUE(submit(heard, request_of(2, 20)).ok());
  ASSERT_TRUE(submit(other, request_of(2, 20)).ok());
  engine_.step();
  handles_[0].cancel();
  StepPlan next;
  engine_.on_plan = [&](const StepPlan& plan) { next = plan; };
  engine_.step();
  EXPECT_THAT(next.releases, ElementsAre(1));
  EXPECT_THAT(next.participants, ElementsAre(2));
  EXPECT_EQ(heard.news.size(), 1u);
  EXPECT_EQ(coordinator().status().cache_tokens_used, 22);
}

TEST_F(CoordinatorTest, CancellingInTheSinkIsTheLastNews) {
  int heard = 0;
  GenerationHandle handle;
  handle =
      coordinator()
          .submit(request_of(2, 20), [&](const GenerationUpdate&) { ++heard, handle.cancel(); })
          .value();
  engine_.step();
  engine_.step();
  EXPECT_EQ(heard, 1);
  EXPECT_EQ(coordinator().status().cache_tokens_used, 0);
}

TEST_F(CoordinatorTest, ASinkMaySubmit) {
  Heard second;
  auto first = coordinator().submit(
      request_of(2, 1), [&](const GenerationUpdate&) { EXPECT_TRUE(submit(second).ok()); });
  ASSERT_TRUE(first.ok());
  run_dry();
  EXPECT_TRUE(second.finished());
}

TEST_F(CoordinatorTest, CancellingTheLastOneLeavesNothingToDo) {
  Heard heard;
  ASSERT_TRUE(submit(heard).ok());
  handles_.clear();
  EXPECT_TRUE(engine_.step());  // a plan without a sequence
  EXPECT_EQ(coordinator().status().waiting + coordinator().status().running, 0);
}

TEST_F(CoordinatorTest, DrainingFinishesWhatWasAcceptedAndTakesNothingNew) {
  std::vector<Heard> heard(4);
  for (Heard& one : heard) ASSERT_TRUE(submit(one).ok());
  engine_.step();
  coordinator().shut_down(/*finish_running=*/true);
  EXPECT_FALSE(coordinator().status().ready);
  Heard late;
  EXPECT_EQ(submit(late).error().code, Code::kUnavailable);
  while (engine_.step()) {
  }
  for (const Heard& one : heard) EXPECT_TRUE(one.finished());
}

TEST_F(CoordinatorTest, ShuttingDownAtOnceAnswersEverybody) {
  std::vector<Heard> heard(4);
  for (Heard& one : heard) ASSERT_TRUE(submit(one).ok());
  engine_.step();
  Heard queued;
  ASSERT_TRUE(submit(queued).ok());
  coordinator().shut_down(/*finish_running=*/false);
  EXPECT_FALSE(engine_.step());
  for (const Heard& one : heard) {
    ASSERT_TRUE(one.failed());
    EXPECT_EQ(one.news.back().error->code, Code::kUnavailable);
  }
  EXPECT_TRUE(queued.failed());
  const EngineStatus status = coordinator().status();
  EXPECT_EQ(status.running + status.waiting, 0);
  EXPECT_EQ(status.cache_tokens_used, 0);
}

TEST_F(CoordinatorTest, ADrainMayBeCutShortButNotTakenBack) {
  Heard heard;
  ASSERT_TRUE(submit(heard).ok());
  engine_.step();
  coordinator().shut_down(/*finish_running=*/true);
  EXPECT_TRUE(engine_.step());
  coordinator().shut_down(/*finish_running=*/false);
  coordinator().shut_down(/*finish_running=*/true);
  EXPECT_FALSE(engine_.step());
  EXPECT_TRUE(heard.failed());
}

TEST_F(CoordinatorTest, AnErrorOfOneEndsItAloneOnAllRanks) {
  Heard broken, other;
  ASSERT_TRUE(submit(broken, request_of(2, 9)).ok());
  ASSERT_TRUE(submit(other).ok());
  engine_.error_of = [](const Sequence& sequence) -> std::optional<Error> {
    if (sequence.spec().id != 1 || sequence.step() != 1) return std::nullopt;
    return Error{Code::kInternal, "not finite"};
  };
  run_dry();  // a second rank follows
  ASSERT_EQ(broken.news.size(), 2U);
  EXPECT_EQ(broken.news.back().error->message, "not finite");
  EXPECT_THAT(broken.news.back().commits, IsEmpty());
  EXPECT_TRUE(other.finished());
  EXPECT_EQ(other.news.size(), 3U);
  EXPECT_EQ(coordinator().status().cache_tokens_used, 0);
}

TEST_F(CoordinatorTest, AFailureAnswersEverybodyButTheCancelled) {
  Heard running, queued, cancelled;
  ASSERT_TRUE(submit(cancelled, request_of(2, 9)).ok());
  ASSERT_TRUE(submit(running, request_of(2, 9)).ok());
  engine_.step();
  ASSERT_TRUE(submit(queued).ok());
  handles_[0].cancel();
  coordinator().fail({Code::kInternal, "broken"});
  EXPECT_EQ(running.news.back().error->message, "broken");
  EXPECT_EQ(running.news.back().stats.forward_passes, 1);
  EXPECT_EQ(queued.news.back().error->message, "broken");
  EXPECT_FALSE(cancelled.failed());
  Heard late;
  EXPECT_EQ(submit(late).error().code, Code::kUnavailable);
}

TEST_F(CoordinatorTest, AnIdleEngineWakesForASubmission) {
  engine_.heartbeat = std::chrono::hours(1);
  engine_.run();
  std::promise<void> finished;
  const auto handle = coordinator().submit(request_of(2, 3), [&](const GenerationUpdate& news) {
    if (news.finished) finished.set_value();
  });
  EXPECT_EQ(finished.get_future().wait_for(kPatience), std::future_status::ready);
  coordinator().shut_down(/*finish_running=*/true);
  engine_.join();
}

TEST_F(CoordinatorTest, AnIdleEngineWakesForTheEnd) {
  engine_.heartbeat = std::chrono::hours(1);
  engine_.run();
  coordinator().shut_down(/*finish_running=*/true);
  const auto ended = std::async(std::launch::async, [this] { engine_.join(); });
  EXPECT_EQ(ended.wait_for(kPatience), std::future_status::ready);
}

TEST_F(CoordinatorTest, LogsTheLifeOfEachGenerationAtDebugLevel) {
  configure_logging(LogLevel::kDebug, "");
  ::testing::internal::CaptureStderr();
  Heard finished, cancelled, failed;
  ASSERT_TRUE(submit(finished).ok());
  run_dry();
  ASSERT_TRUE(submit(cancelled, request_of(2, 9)).ok());
  engine_.step();
  handles_.back().cancel();
  engine_.step();
  ASSERT_TRUE(submit(failed).ok());
  coordinator().fail({Code::kInternal, "broken"});
  const std::string log = ::testing::internal::GetCapturedStderr();
  configure_logging(LogLevel::kInfo, "");
  EXPECT_THAT(log,
              AllOf(HasSubstr("generation 1: submitted with policy elastic, 2 tokens given and 3 "
                              "to generate\n"),
                    HasSubstr("generation 1: admitted after "),
                    HasSubstr("generation 1: finished after 3 steps\n"),
                    HasSubstr("generation 2: cancelled after 1 steps\n"),
                    HasSubstr("generation 3: failed: broken\n")));
}

/// Threads that submit and cancel; every generation ends as it must.
class CoordinatorThreads : public CoordinatorTest {
 protected:
  static constexpr int kThreads = 4, kEach = 100;

  /// Submits until `kEach` were accepted or the coordinator takes no more; waits for their ends.
  void submit_many(unsigned seed) {
    std::vector<std::pair<GenerationHandle, std::shared_ptr<std::atomic<int>>>> mine;
    for (int accepted = 0; accepted < kEach;) {
      seed = seed * 1664525 + 1013904223;
      const auto ends = std::make_shared<std::atomic<int>>(0);
      const int length = 1 + static_cast<int>(seed >> 28);
      auto handle =
          coordinator().submit(request_of(2, length), [this, ends](const GenerationUpdate& news) {
            finished_ += news.finished;
            failed_ += news.error.has_value();
            *ends += news.finished || news.error;
          });
      if (!handle && handle.error().code == Code::kUnavailable) break;
      if (!handle) {
        std::this_thread::yield();
        continue;
      }
      ++accepted_;
      ++accepted;
      if (seed % 5 == 0) {
        handle->cancel();
        ++cancelled_;
      } else {
        mine.emplace_back(std::move(*handle), ends);
      }
    }
    for (auto& [handle, ends] : mine) {
      while (*ends == 0) std::this_thread::yield();
      EXPECT_EQ(*ends, 1);
    }
  }

  void run_threads() {
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) threads.emplace_back([this, i] { submit_many(77 * i); });
    for (std::thread& thread : threads) thread.join();
  }

  std::atomic<int> accepted_ = 0, finished_ = 0, failed_ = 0, cancelled_ = 0;
};

TEST_F(CoordinatorThreads, EveryGenerationThatIsNotCancelledFinishesOnce) {
  engine_.run();
  run_threads();
  coordinator().shut_down(/*finish_running=*/true);
  engine_.join();
  EXPECT_EQ(accepted_, kThreads * kEach);
  EXPECT_GE(finished_, accepted_ - cancelled_);
  EXPECT_EQ(failed_, 0);
  EXPECT_EQ(coordinator().status().cache_tokens_used, 0);
}

TEST_F(CoordinatorThreads, ShuttingDownAmidSubmissionsLeavesNobodyWaiting) {
  engine_.run();
  std::thread ending([this] {
    while (finished_ < 20) std::this_thread::yield();
    coordinator().shut_down(/*finish_running=*/false);
  });
  run_threads();
  ending.join();
  engine_.join();
  EXPECT_GE(finished_ + failed_, accepted_ - cancelled_);
  EXPECT_EQ(coordinator().status().cache_tokens_used, 0);
}

TEST_F(CoordinatorTest, MakesAStepWithoutWorkWhenTheHeartbeatIsDue) {
  EXPECT_TRUE(coordinator().wait_for_work(std::chrono::milliseconds(1)));
  Batch batch(FakeEngine::kTokens);
  const StepPlan plan = coordinator().next_plan(batch);
  EXPECT_THAT(plan.admissions, IsEmpty());
  EXPECT_THAT(plan.participants, IsEmpty());
}

TEST(CoordinatorWithOtherRanks, IsReadyWhileTheyAnswerInTime) {
  Pulse pulse;
  const Coordinator coordinator({}, &pulse);
  EXPECT_TRUE(coordinator.status().ready);
  pulse.waits(Pulse::Clock::now());
  EXPECT_FALSE(coordinator.status().ready);
  pulse.answered(Pulse::Clock::now());
  EXPECT_TRUE(coordinator.status().ready);
}

TEST(CoordinatorWithOtherRanks, SaysHowLongAgoTheyAnsweredAndWhatExchangesCost) {
  Pulse pulse;
  const Coordinator coordinator({}, &pulse);
  pulse.answered(Pulse::Clock::now() - std::chrono::hours(1));
  pulse.exchanged(std::chrono::milliseconds(750));
  EXPECT_GE(coordinator.status().heartbeat_age_s, 3600);
  EXPECT_EQ(coordinator.status().collective_s, 0.75);
}

TEST(CoordinatorWithOtherRanks, IsNotReadyOnceItIsShutDownThoughTheyAnswer) {
  const Pulse pulse;
  Coordinator coordinator({}, &pulse);
  coordinator.shut_down(/*finish_running=*/true);
  EXPECT_FALSE(coordinator.status().ready);
}

TEST(CoordinatorStepBudget, FullForwardsTakeTurnsAndOtherStepsAreTakenAlways) {
  FakeEngine engine({.scheduler = {.cache_tokens = 100}, .max_full_rows = 10, .max_context = 32});
  std::vector<std::vector<SequenceId>> runs;
  engine.on_plan = [&](const StepPlan& plan) { runs.push_back(plan.participants); };
  std::vector<GenerationHandle> handles;
  for (const char* policy : {"none", "none", "elastic"}) {
    auto handle = engine.coordinator.submit(request_of(2, 6, policy), [](const auto&) {});
    ASSERT_TRUE(handle.ok());
    handles.push_back(std::move(*handle));
  }
  for (int step = 0; step < 5; ++step) engine.step();
  // The third is due a full forward in its first step only.
  EXPECT_THAT(
      runs,
      ElementsAre(
          ElementsAre(1), ElementsAre(2), ElementsAre(3), ElementsAre(1, 3), ElementsAre(2, 3)));
}

}  // namespace
}  // namespace rubato::testing
