#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/base/check.h"
#include "runtime/engine/coordinator.h"

namespace rubato::testing {

/// An engine without a model: its steps commit what `rule` says. A second rank receives every plan
/// as bytes and must agree with the first. Steps are made one by one, or by a thread.
class FakeEngine {
 public:
  static constexpr ControlTokens kTokens{.mask = 1, .eos = 2};
  static constexpr TokenId kWord = 7;
  static constexpr int kLayers = 6;

  /// What a step commits in a sequence, of the positions its policy makes eligible.
  using Rule = std::function<std::vector<Commit>(const Sequence&, std::span<const Position>)>;

  explicit FakeEngine(CoordinatorLimits limits,
                      Rule rule = first_eligible,
                      std::function<Coordinator::Clock::time_point()> now = Coordinator::Clock::now)
      : coordinator(limits, /*pulse=*/nullptr, std::move(now)), rule_(std::move(rule)) {}

  ~FakeEngine() {
    if (!thread_.joinable()) return;
    coordinator.shut_down(/*finish_running=*/false);
    thread_.join();
  }

  /// Commits one word a step, from left to right.
  static std::vector<Commit> first_eligible(const Sequence&, std::span<const Position> eligible) {
    return {{eligible.front(), kWord}};
  }

  /// Makes a step; false: shut down, and nothing is left to do.
  bool step() {
    if (!coordinator.wait_for_work(heartbeat)) return false;
    const StepPlan plan = coordinator.next_plan(batch_);
    tell_other_rank(plan);
    if (on_plan) on_plan(plan);
    std::vector<SequenceOutcome> outcomes;
    for (const Sequence* sequence : batch_.participants())
      outcomes.push_back(outcome_of(*sequence));
    coordinator.finish_step(batch_, std::move(outcomes));
    return true;
  }

  /// Makes steps on a thread until it is shut down.
  void run() {
    thread_ = std::thread([this] {
      while (step()) {
      }
    });
  }
  void join() { thread_.join(); }

  const Batch& batch() const { return batch_; }

  Coordinator coordinator;
  std::chrono::milliseconds heartbeat{1000};     ///< how long a step waits for work
  std::function<void(const StepPlan&)> on_plan;  ///< called once the ranks have applied it
  std::function<std::optional<Error>(const Sequence&)> error_of;  ///< what a step fails with

 private:
  void tell_other_rank(const StepPlan& plan) {
    std::vector<std::byte> bytes;
    encode(plan, bytes);
    const Result<StepPlan> received = decode_step_plan(bytes);
    RUBATO_CHECK(received.ok() && *received == plan);
    const Status applied = other_rank_.apply(*received);
    RUBATO_CHECK(applied.ok(), applied.ok() ? "" : applied.error().message);
  }

  SequenceOutcome outcome_of(const Sequence& sequence) const {
    const PolicyParams& policy = sequence.spec().policy;
    const StepQuery query = policy.policy->query(policy, sequence.view());
    SequenceOutcome outcome;
    outcome.update.id = sequence.spec().id;
    if (error_of) outcome.error = error_of(sequence);
    if (outcome.error) return outcome;
    outcome.update.commits = rule_(sequence, query.eligible);
    if (policy.policy->tracks()) outcome.update.tracked = some_positions(sequence);
    if (query.refresh == Refresh::kFull) {
      outcome.boundary = 0;
      outcome.layers_refreshed = kLayers;
    }
    outcome.tracked.assign(query.rows.begin(), query.rows.begin() + query.num_tracked);
    outcome.rows_computed = std::ssize(query.rows);
    return outcome;
  }

  /// As many as its policy tracks, others at every other step.
  static std::vector<Position> some_positions(const Sequence& sequence) {
    std::vector<Position> positions;
    const int first = sequence.step() % 2, end = first + sequence.spec().policy.track;
    for (Position position = first; position < end; ++position)
      if (position < sequence.spec().canvas_length()) positions.push_back(position);
    return positions;
  }

  Rule rule_;
  Batch batch_{kTokens};
  Batch other_rank_{kTokens};
  std::thread thread_;
};

}  // namespace rubato::testing
