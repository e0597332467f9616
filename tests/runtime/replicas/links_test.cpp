// A front end and a replica in one process: mailboxes in memory, a real coordinator, an engine that
// commits one token a step.
#include "runtime/replicas/links.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "tests/support/local_mailboxes.h"

namespace rubato {
namespace {

constexpr int kFront = 0, kLeader = 2;
constexpr ControlTokens kTokens{.mask = 99, .eos = 98};
constexpr std::chrono::seconds kPatience{30};

/// Commits one token, its own position, in every running sequence, as long as there are any.
void run_engine(Coordinator& coordinator) {
  Batch batch(kTokens);
  while (coordinator.wait_for_work(kPatience)) {
    coordinator.next_plan(batch);
    std::vector<SequenceOutcome> outcomes;
    for (const Sequence* sequence : batch.participants()) {
      SequenceOutcome& outcome = outcomes.emplace_back();
      const Position position = sequence->masked().front();
      outcome.update = {sequence->spec().id, {{position, position}}, {}};
    }
    coordinator.finish_step(batch, std::move(outcomes));
  }
}

/// What a generation came to, for a thread that waits.
struct Outcome {
  std::vector<Commit> commits;
  std::optional<Error> error;
};

class LinksTest : public ::testing::Test {
 public:
  LinksTest() {
    front_ = std::make_unique<FrontLink>(*front_mailbox_, std::vector{kLeader}, limits_, watch_);
    link_ = std::make_unique<LeaderLink>(*leader_mailbox_, kFront, coordinator_, watch_);
    replica_ = front_->replicas().front();
  }

  ~LinksTest() override {
    if (engine_.joinable()) end(/*finish_running=*/false);
  }

 protected:
  void start_engine() {
    engine_ = std::thread([this] { run_engine(coordinator_); });
  }

  void end(bool finish_running) {
    front_->shut_down(finish_running);
    engine_.join();
    link_.reset();
    front_->wait_until_ended();
  }

  static GenerationRequest request(int max_tokens, int prompt_tokens = 2) {
    GenerationRequest request;
    request.prompt.assign(prompt_tokens, 1);
    request.max_tokens = max_tokens;
    request.policy.policy = find_policy("none");
    return request;
  }

  /// Submits and returns what comes of it.
  std::future<Outcome> generate(int max_tokens) {
    auto promise = std::make_shared<std::promise<Outcome>>();
    auto outcome = std::make_shared<Outcome>();
    auto handle = replica_->submit(request(max_tokens), [=](const GenerationUpdate& update) {
      outcome->commits.insert(outcome->commits.end(), update.commits.begin(), update.commits.end());
      outcome->error = update.error;
      if (update.finished || update.error) promise->set_value(*outcome);
    });
    EXPECT_TRUE(handle.ok());
    if (handle) handles_.push_back(std::move(handle).value());
    return promise->get_future();
  }

  /// Waits until the front end's view of the load is as wanted.
  bool load_becomes(const std::function<bool(const EngineStatus&)>& wanted) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < until) {
      if (wanted(replica_->status())) return true;
      std::this_thread::yield();
    }
    return false;
  }

  const CoordinatorLimits limits_{.scheduler = {.cache_tokens = 64, .max_sequences = 2},
                                  .max_queued = 3,
                                  .max_queued_prompt_tokens = 8,
                                  .max_context = 40};
  const LinkWatch watch_{std::chrono::minutes(5), [](int) {}};
  testing::LocalMailboxes mailboxes_;
  std::unique_ptr<Mailbox> front_mailbox_ = mailboxes_.of(kFront);
  std::unique_ptr<Mailbox> leader_mailbox_ = mailboxes_.of(kLeader);
  Coordinator coordinator_{limits_};
  std::unique_ptr<FrontLink> front_;
  std::unique_ptr<LeaderLink> link_;
  GenerationClient* replica_ = nullptr;
  std::vector<GenerationHandle> handles_;
  std::thread engine_;
};

TEST_F(LinksTest, AGenerationRunsOnTheOtherSideAndItsNewsComeBackInOrder) {
  start_engine();
  std::future<Outcome> future = generate(5);
  ASSERT_EQ(future.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(future.get().commits, (std::vector<Commit>{{2, 2}, {3, 3}, {4, 4}, {5, 5}, {6, 6}}));
  EXPECT_EQ(replica_->status().outstanding_tokens, 0);
}

TEST_F(LinksTest, WhatCanNeverBeServedIsRefusedAtOnce) {
  const auto refused = replica_->submit(request(39), {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kTooLong);
}

TEST_F(LinksTest, AFullQueueIsRefusedOnThisSide) {
  // The engine does not run: everything waits.
  for (int i = 0; i < 3; ++i) (void)generate(4);
  const auto refused = replica_->submit(request(4), {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kOverloaded);
  start_engine();
}

TEST_F(LinksTest, TooManyPromptTokensAreRefusedOnThisSideUntilNewsComeOrNobodyWaits) {
  const auto accepts = [this] {
    return replica_->submit(request(4, /*prompt_tokens=*/5), [](const auto&) {}).ok();
  };
  (void)generate(4);
  std::future<Outcome> last = generate(4);
  const auto refused = replica_->submit(request(4, /*prompt_tokens=*/5), {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, "the queue holds prompts of 4 tokens; at most 8 may wait");
  handles_.erase(handles_.begin());  // cancelled while it waits
  EXPECT_TRUE(load_becomes([&](const EngineStatus&) { return accepts(); }));
  EXPECT_TRUE(load_becomes([](const EngineStatus& now) { return now.outstanding_tokens == 6; }));
  const GenerationHandle second =
      replica_->submit(request(4, /*prompt_tokens=*/6), [](const auto&) {}).value();
  EXPECT_FALSE(accepts());
  start_engine();
  ASSERT_EQ(last.wait_for(kPatience), std::future_status::ready);
  EXPECT_TRUE(load_becomes([&](const EngineStatus&) { return accepts(); }));
}

TEST_F(LinksTest, ACancelledGenerationGivesItsPlaceBackOnTheOtherSide) {
  (void)generate(30);
  EXPECT_EQ(replica_->status().outstanding_tokens, 32);
  handles_.clear();
  EXPECT_TRUE(
      load_becomes([](const EngineStatus& status) { return status.outstanding_tokens == 0; }));
  start_engine();
  EXPECT_TRUE(load_becomes([this](const EngineStatus&) {
    const EngineStatus there = coordinator_.status();
    return there.running == 0 && there.waiting == 0 && there.outstanding_tokens == 0;
  }));
}

TEST_F(LinksTest, DrainingFinishesWhatWasAcceptedAndRefusesTheRest) {
  std::vector<std::future<Outcome>> futures;
  for (int i = 0; i < 3; ++i) futures.push_back(generate(6));
  start_engine();
  end(/*finish_running=*/true);
  for (auto& future : futures) {
    ASSERT_EQ(future.wait_for(kPatience), std::future_status::ready);
    EXPECT_EQ(future.get().commits.size(), 6U);
  }
  EXPECT_EQ(replica_->submit(request(4), {}).error().code, Code::kUnavailable);
  EXPECT_FALSE(replica_->status().ready);
}

TEST_F(LinksTest, StoppingAtOnceEndsWhatRunsWithAnError) {
  std::future<Outcome> future = generate(6);
  ASSERT_TRUE(
      load_becomes([this](const EngineStatus&) { return coordinator_.status().waiting == 1; }));
  front_->shut_down(/*finish_running=*/false);
  ASSERT_TRUE(load_becomes([this](const EngineStatus&) { return !coordinator_.status().ready; }));
  start_engine();
  end(/*finish_running=*/false);
  ASSERT_EQ(future.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(future.get().error->code, Code::kUnavailable);
}

TEST(LinkWatchTest, ASilentSideIsFoundOut) {
  testing::LocalMailboxes mailboxes;
  const auto mailbox = mailboxes.of(kFront);
  std::promise<int> lost;
  std::once_flag once;
  FrontLink front(*mailbox, {kLeader}, {}, {std::chrono::milliseconds(50), [&](int rank) {
                                              std::call_once(once, [&] { lost.set_value(rank); });
                                            }});
  std::future<int> future = lost.get_future();
  ASSERT_EQ(future.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(future.get(), kLeader);
}

}  // namespace
}  // namespace rubato
