// Random arrivals and cancels against an engine without a model; what must hold at every step
// holds.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/runtime/engine/requests.h"
#include "tests/support/fake_engine.h"

namespace rubato::testing {
namespace {

constexpr std::int64_t kCacheTokens = 200, kMaxFullRows = 50;
constexpr int kMaxSequences = 6, kMaxQueued = 12;

/// Commits one or two positions a step, an EOS now and then.
std::vector<Commit> random_looking(const Sequence& sequence, std::span<const Position> eligible) {
  const std::uint64_t dice = sequence.digest() >> 20;
  std::vector<Commit> commits;
  for (const Position position :
       eligible.first(std::min<std::size_t>(eligible.size(), 1 + dice % 2)))
    commits.push_back({position, dice % 31 == 0 ? FakeEngine::kTokens.eos : FakeEngine::kWord});
  return commits;
}

class RandomArrivals : public ::testing::Test {
 protected:
  struct Generation {
    SequenceId id = 0;  // ids count submissions from 1
    GenerationRequest request;
    GenerationHandle handle;
    bool cancelled = false;
    int ends = 0;      // times that its last news came
    int left_out = 0;  // steps that it was left out of, in a row
    std::set<Position> committed;
  };

  RandomArrivals() {
    engine_.on_plan = [this](const StepPlan& plan) { check(plan); };
  }

  int below(int n) { return static_cast<int>(random_() % n); }

  void arrive() {
    static constexpr const char* kPolicies[] = {
        "none", "prefix", "dual", "elastic", "interval", "dkv", "flash", "horizon"};
    GenerationRequest request = request_of(below(30), 1 + below(40), kPolicies[below(8)]);
    request.policy.block_length = 1 + below(16);
    request.policy.horizon = 1 + below(32);
    request.ignore_eos = below(2) == 0;
    auto generation = std::make_unique<Generation>();
    generation->request = request;
    Generation& it = *generation;
    auto handle = engine_.coordinator.submit(
        std::move(request), [&it](const GenerationUpdate& news) { hear(it, news); });
    const bool full = engine_.coordinator.status().waiting >= kMaxQueued;
    if (!handle) {
      EXPECT_EQ(handle.error().code, Code::kOverloaded);
      EXPECT_TRUE(full);
      return;
    }
    it.id = ++num_accepted_;
    it.handle = std::move(*handle);
    generations_.emplace(it.id, std::move(generation));
  }

  static void hear(Generation& it, const GenerationUpdate& news) {
    EXPECT_FALSE(it.cancelled);
    EXPECT_EQ(it.ends, 0);
    EXPECT_FALSE(news.commits.empty());
    for (const Commit& commit : news.commits) {
      EXPECT_GE(commit.position, std::ssize(it.request.prompt));
      EXPECT_LT(commit.position, it.request.canvas_length());
      EXPECT_TRUE(it.committed.insert(commit.position).second) << "committed twice";
    }
    it.ends += news.finished;
  }

  /// Of the latest ones, most of which wait or run.
  void cancel_one() {
    if (generations_.empty()) return;
    const int latest = std::min(static_cast<int>(generations_.size()), 20);
    Generation& it = *std::prev(generations_.end(), 1 + below(latest))->second;
    it.handle.cancel();
    it.cancelled = true;
  }

  /// What must hold of every plan.
  void check(const StepPlan& plan) {
    ++num_steps_;
    EXPECT_TRUE(std::ranges::is_sorted(plan.run)) << "not in order of arrival";
    for (const SequenceId id : plan.releases) EXPECT_EQ(running_.erase(id), 1U);
    for (const SequenceSpec& spec : plan.admissions) {
      EXPECT_GT(spec.id, last_admitted_) << "somebody was overtaken";
      last_admitted_ = spec.id;
      running_.insert(spec.id);
    }
    EXPECT_LE(std::ssize(running_), kMaxSequences);
    std::vector<std::pair<std::int64_t, std::int64_t>> slots;
    for (const SequenceId id : running_) {
      const Sequence& sequence = *engine_.batch().find(id);
      const std::int64_t begin = sequence.spec().slot_begin;
      slots.emplace_back(begin, begin + sequence.spec().canvas_length());
      EXPECT_FALSE(generations_.at(id)->cancelled) << "a cancelled one runs";
    }
    check_slots(slots);
    check_step_budget(plan.run);
    check_nobody_waits_in_vain();
  }

  /// Everybody who is due no full forward runs, and of the others as many as there is room for.
  void check_step_budget(std::span<const SequenceId> run) {
    std::int64_t rows = 0, least_left_out = kCacheTokens;
    int full_forwards = 0;
    for (const SequenceId id : running_) {
      const Sequence& sequence = *engine_.batch().find(id);
      const PolicyParams& policy = sequence.spec().policy;
      const StepQuery query = policy.policy->query(policy, sequence.view());
      EXPECT_EQ(policy.policy->refresh(policy, sequence.view()), query.refresh);
      const bool full = query.refresh == Refresh::kFull, runs = std::ranges::count(run, id) == 1;
      EXPECT_TRUE(full || runs) << "left out for nothing";
      const std::int64_t length = canvas_reach(policy, sequence.view());
      int& left_out = generations_.at(id)->left_out;
      left_out = runs ? 0 : left_out + 1;
      EXPECT_LT(left_out, kMaxSequences) << "each of the others goes before it once at most";
      if (!runs) least_left_out = std::min(least_left_out, length);
      rows += full && runs ? length : 0;
      full_forwards += full && runs;
      num_left_out_ += !runs;
    }
    EXPECT_TRUE(rows <= kMaxFullRows || full_forwards == 1) << rows << " in " << full_forwards;
    EXPECT_GT(rows + least_left_out, kMaxFullRows) << "there was room for it";
  }

  void check_slots(std::vector<std::pair<std::int64_t, std::int64_t>>& slots) {
    std::ranges::sort(slots);
    std::int64_t used = 0, end = 0;
    longest_gap_ = 0;
    for (const auto& [begin, slot_end] : slots) {
      EXPECT_GE(begin, end) << "two slots overlap";
      longest_gap_ = std::max(longest_gap_, begin - end);
      used += slot_end - begin;
      end = slot_end;
    }
    EXPECT_LE(end, kCacheTokens);
    longest_gap_ = std::max(longest_gap_, kCacheTokens - end);
    EXPECT_EQ(engine_.coordinator.status().cache_tokens_used, used);
  }

  void check_nobody_waits_in_vain() {
    const int waiting = engine_.coordinator.status().waiting;
    EXPECT_LE(waiting, kMaxQueued);
    const auto first = std::ranges::find_if(generations_, [this](const auto& entry) {
      return entry.first > last_admitted_ && !entry.second->cancelled;
    });
    EXPECT_EQ(first == generations_.end(), waiting == 0);
    if (first == generations_.end() || std::ssize(running_) == kMaxSequences) return;
    EXPECT_GT(first->second->request.canvas_length(), longest_gap_) << "it fits and waits";
  }

  std::mt19937 random_{2024};
  FakeEngine engine_{{.scheduler = {.cache_tokens = kCacheTokens, .max_sequences = kMaxSequences},
                      .max_full_rows = kMaxFullRows,
                      .max_queued = kMaxQueued,
                      .max_context = 100},
                     random_looking};
  std::map<SequenceId, std::unique_ptr<Generation>> generations_;
  std::set<SequenceId> running_;
  SequenceId num_accepted_ = 0, last_admitted_ = 0;
  std::int64_t longest_gap_ = 0;
  int num_steps_ = 0, num_left_out_ = 0;
};

TEST_F(RandomArrivals, KeepEveryPromiseAtEveryStep) {
  for (int event = 0; event < 10'000; ++event) {
    const int what = below(10);
    if (what < 4) {
      arrive();
    } else if (what < 5) {
      cancel_one();
    } else if (const EngineStatus status = engine_.coordinator.status();
               status.running + status.waiting > 0) {
      engine_.step();
    }
    if (HasFailure()) FAIL() << "after event " << event;
  }
  engine_.coordinator.shut_down(/*finish_running=*/true);
  while (engine_.step()) {
  }
  EXPECT_EQ(engine_.coordinator.status().cache_tokens_used, 0);
  int finished = 0;
  for (const auto& [id, generation] : generations_) {
    EXPECT_TRUE(generation->cancelled || generation->ends == 1) << id;
    finished += generation->ends;
  }
  EXPECT_GT(num_steps_, 3000);
  EXPECT_GT(num_left_out_, 1000);
  EXPECT_GT(finished, 500);
}

}  // namespace
}  // namespace rubato::testing
