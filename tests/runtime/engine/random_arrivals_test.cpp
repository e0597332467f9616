// Random arrivals and cancels against an engine without a model; what must hold at every step
// holds.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "tests/runtime/engine/requests.h"
#include "tests/support/fake_engine.h"

namespace rubato::testing {
namespace {

using std::chrono::seconds;

constexpr std::int64_t kCacheTokens = 200, kMaxFullRows = 50, kMaxQueuedPromptTokens = 100;
constexpr std::int64_t kMaxDriftBytes = 80;  // a byte for each pair of a tracked position and a key
constexpr int kMaxSequences = 6, kMaxQueued = 12;
constexpr seconds kQueueTimeout{15};

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
    Coordinator::Clock::time_point submitted;
    bool cancelled = false, overdue = false;
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
    request.policy.track = 1 + below(2);
    request.policy.block_length = 1 + below(16);
    request.policy.horizon = 1 + below(32);
    request.ignore_eos = below(2) == 0;
    const std::optional<Code> refusal = expected_refusal(request);
    auto generation = std::make_unique<Generation>();
    generation->request = request;
    generation->submitted = now_;
    Generation& it = *generation;
    auto handle = engine_.coordinator.submit(
        std::move(request), [this, &it](const GenerationUpdate& news) { hear(it, news); });
    EXPECT_EQ(handle ? std::nullopt : std::optional(handle.error().code), refusal);
    ++num_answers_[refusal];
    if (!handle) return;
    it.id = ++num_accepted_;
    it.handle = std::move(*handle);
    waiting_.insert(it.id);
    generations_.emplace(it.id, std::move(generation));
  }

  std::optional<Code> expected_refusal(const GenerationRequest& request) const {
    const std::int64_t canvas = request.canvas_length();
    if (request.policy.policy->tests_drift &&
        std::min<std::int64_t>(request.policy.track, canvas) * canvas > kMaxDriftBytes)
      return Code::kInvalidArgument;
    const std::int64_t tokens = waiting_prompt_tokens();
    const bool too_much = tokens > 0 && tokens + request.given_tokens() > kMaxQueuedPromptTokens;
    if (std::ssize(waiting_) >= kMaxQueued || too_much) return Code::kOverloaded;
    return std::nullopt;
  }

  std::int64_t waiting_prompt_tokens() const {
    std::int64_t tokens = 0;
    for (const SequenceId id : waiting_) tokens += generations_.at(id)->request.given_tokens();
    return tokens;
  }

  void hear(Generation& it, const GenerationUpdate& news) {
    EXPECT_FALSE(it.cancelled || it.overdue);
    EXPECT_EQ(it.ends, 0);
    if (news.error) {
      EXPECT_EQ(news.error->code, Code::kOverloaded);
      EXPECT_GE(now_ - it.submitted, kQueueTimeout);
      EXPECT_EQ(waiting_.erase(it.id), 1U) << "it had a place";
      it.overdue = true;
      ++num_overdue_;
      return;
    }
    EXPECT_FALSE(news.commits.empty());
    for (const Commit& commit : news.commits) {
      EXPECT_GE(commit.position, std::ssize(it.request.prompt));
      EXPECT_LT(commit.position, it.request.canvas_length());
      EXPECT_TRUE(it.committed.insert(commit.position).second) << "committed twice";
    }
    it.ends += news.finished;
  }

  /// One that waits or runs; false: there is none.
  bool cancel_one() {
    std::vector<SequenceId> candidates(waiting_.begin(), waiting_.end());
    candidates.insert(candidates.end(), running_.begin(), running_.end());
    std::erase_if(candidates, [this](SequenceId id) {
      const Generation& it = *generations_.at(id);
      return it.cancelled || it.ends > 0;
    });
    if (candidates.empty()) return false;
    Generation& it = *generations_.at(candidates[below(static_cast<int>(candidates.size()))]);
    it.handle.cancel();
    it.cancelled = true;
    return true;
  }

  /// What must hold of every plan.
  void check(const StepPlan& plan) {
    ++num_steps_;
    EXPECT_TRUE(std::ranges::is_sorted(plan.participants)) << "not in order of arrival";
    for (const SequenceId id : plan.releases) EXPECT_EQ(running_.erase(id), 1U);
    std::erase_if(waiting_, [this](SequenceId id) { return generations_.at(id)->cancelled; });
    for (const SequenceSpec& spec : plan.admissions) {
      EXPECT_EQ(waiting_.erase(spec.id), 1U);
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
    check_step_budgets(plan.participants);
    check_queue();
    check_nobody_waits_in_vain();
  }

  /// What a step spends of one of its budgets, and what it left out for want of it.
  struct Spending {
    std::int64_t spent = 0, least_left_out = kCacheTokens;
    int participants = 0;

    void add(std::int64_t cost, bool runs) {
      if (cost == 0) return;
      spent += runs ? cost : 0;
      participants += runs;
      if (!runs) least_left_out = std::min(least_left_out, cost);
    }

    void check(std::int64_t limit) const {
      EXPECT_TRUE(spent <= limit || participants == 1) << spent << " by " << participants;
      EXPECT_GT(spent + least_left_out, limit) << "there was room for it";
    }
  };

  /// Everybody who is due neither a full forward nor a drift test runs, and of the others as many
  /// as there is room for.
  void check_step_budgets(std::span<const SequenceId> run) {
    Spending rows, drift;
    for (const SequenceId id : running_) {
      const Sequence& sequence = *engine_.batch().find(id);
      const PolicyParams& policy = sequence.spec().policy;
      const StepQuery query = policy.policy->query(policy, sequence.view());
      EXPECT_EQ(policy.policy->refresh(policy, sequence.view()), query.refresh);
      const bool runs = std::ranges::count(run, id) == 1;
      const std::int64_t keys = canvas_reach(policy, sequence.view());
      const std::int64_t pairs = query.refresh == Refresh::kByDrift ? query.num_tracked * keys : 0;
      const bool full = query.refresh == Refresh::kFull;
      EXPECT_TRUE(runs || full || pairs > 0) << "left out for nothing";
      rows.add(full ? keys : 0, runs);
      drift.add(pairs, runs);
      int& left_out = generations_.at(id)->left_out;
      left_out = runs ? 0 : left_out + 1;
      EXPECT_LT(left_out, kMaxSequences) << "each of the others goes before it once at most";
      num_forwards_left_out_ += !runs && full;
      num_drift_tests_left_out_ += !runs && !full;
    }
    rows.check(kMaxFullRows);
    drift.check(kMaxDriftBytes);
  }

  void check_queue() const {
    EXPECT_EQ(engine_.coordinator.status().waiting, std::ssize(waiting_));
    EXPECT_LE(std::ssize(waiting_), kMaxQueued);
    EXPECT_LE(waiting_prompt_tokens(), kMaxQueuedPromptTokens);
    for (const SequenceId id : waiting_)
      EXPECT_LT(now_ - generations_.at(id)->submitted, kQueueTimeout) << "it waits too long";
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

  void check_nobody_waits_in_vain() const {
    if (waiting_.empty() || std::ssize(running_) == kMaxSequences) return;
    EXPECT_GT(generations_.at(*waiting_.begin())->request.canvas_length(), longest_gap_)
        << "it fits and waits";
  }

  std::mt19937 random_{2024};
  Coordinator::Clock::time_point now_{};
  FakeEngine engine_{{.scheduler = {.cache_tokens = kCacheTokens, .max_sequences = kMaxSequences},
                      .max_full_rows = kMaxFullRows,
                      .drift = {.max_bytes = kMaxDriftBytes, .bytes_per_pair = 1, .num_layers = 1},
                      .max_queued = kMaxQueued,
                      .max_queued_prompt_tokens = kMaxQueuedPromptTokens,
                      .queue_timeout = kQueueTimeout,
                      .max_context = 100},
                     random_looking,
                     [this] { return now_; }};
  std::map<SequenceId, std::unique_ptr<Generation>> generations_;
  std::set<SequenceId> waiting_, running_;          // as of the latest plan, and who came since
  std::map<std::optional<Code>, int> num_answers_;  // to arrivals
  SequenceId num_accepted_ = 0, last_admitted_ = 0;
  std::int64_t longest_gap_ = 0;
  int num_steps_ = 0, num_forwards_left_out_ = 0, num_drift_tests_left_out_ = 0, num_overdue_ = 0;
};

TEST_F(RandomArrivals, KeepEveryPromiseAtEveryStep) {
  int num_cancelled = 0;
  for (int events = 0; events < 10'000;) {  // arrivals and cancels; steps come besides
    const int what = below(12);
    if (what < 4) {
      arrive();
      ++events;
    } else if (what < 5) {
      const bool cancelled = cancel_one();
      num_cancelled += cancelled;
      events += cancelled;
    } else if (const EngineStatus status = engine_.coordinator.status();
               status.running + status.waiting > 0) {
      engine_.step();
      now_ += seconds(below(2));
    }
    if (HasFailure()) FAIL() << "after event " << events;
  }
  engine_.coordinator.shut_down(/*finish_running=*/true);
  while (engine_.step()) {
  }
  EXPECT_EQ(engine_.coordinator.status().cache_tokens_used, 0);
  int finished = 0;
  for (const auto& [id, generation] : generations_) {
    EXPECT_EQ(generation->cancelled + generation->overdue + generation->ends, 1) << id;
    finished += generation->ends;
  }
  // All of this came to pass, often.
  EXPECT_GT(num_steps_, 10'000);
  EXPECT_GT(num_forwards_left_out_, 1000);
  EXPECT_GT(num_drift_tests_left_out_, 1000);
  EXPECT_GT(num_overdue_, 100);
  EXPECT_GT(num_cancelled, 1000);
  EXPECT_GT(num_answers_[std::nullopt], 1000);
  EXPECT_GT(num_answers_[Code::kOverloaded], 1000);
  EXPECT_GT(num_answers_[Code::kInvalidArgument], 100);
  EXPECT_GT(finished, 500);
}

}  // namespace
}  // namespace rubato::testing
