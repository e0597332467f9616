#include "runtime/engine/step_loop.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "cache/drift.h"
#include "parallel/deadline.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

StepKind kind_of(std::span<const int> boundaries, int num_layers) {
  const auto all = [&](int value) {
    return std::ranges::all_of(boundaries, [value](int boundary) { return boundary == value; });
  };
  if (all(num_layers)) return StepKind::kReuse;
  return all(0) ? StepKind::kFull : StepKind::kPartial;
}

/// The boundary that is worth refreshing from. A refresh of only the last layer would change
/// nothing: only the rows just computed are read from it.
int boundary_of(std::optional<int> wanted, int num_layers) {
  const bool refreshes = wanted && (*wanted == 0 || *wanted < num_layers - 1);
  return refreshes ? *wanted : num_layers;
}

}  // namespace

StepLoop::StepLoop(Model& model,
                   ControlChannel& control,
                   ControlTokens tokens,
                   Coordinator* coordinator)
    : model_(model),
      control_(control),
      tokens_(tokens),
      coordinator_(coordinator),
      batch_(tokens) {}

Status StepLoop::run(std::function<void()> first_step_done) {
  first_step_done_ = std::move(first_step_done);
  Status status;
  try {
    status = run_steps();
  } catch (const std::exception& failure) {  // from the device, for example out of memory
    status = Error{Code::kInternal, concat("the engine failed: ", failure.what())};
  }
  if (!status && coordinator_ != nullptr) coordinator_->fail(status.error());
  return status;
}

Status StepLoop::run_steps() {
  for (;;) {
    Result<bool> more = exchange_plan();
    if (!more) return more.error();
    if (!*more) return {};
    if (Status status = run_step(); !status) return status;
    ++step_;
  }
}

Status StepLoop::run_step() {
  Step step;
  step.sequences = query_policies();
  if (step.sequences.empty()) {  // a heartbeat
    control_.meet(step_);
    return {};
  }
  timer_.lap(Phase::kPlan);
  model_.reuse_pass(step.sequences);
  timer_.lap(Phase::kReuse);
  step.similarity = model_.reduce(step.sequences);
  timer_.lap(Phase::kReduce);
  if (Status status = exchange_boundaries(step); !status) return status;
  timer_.lap(Phase::kDecide);
  model_.refresh(step.sequences, step.boundaries);
  timer_.lap(Phase::kRefresh);
  model_.compute_logits(step.sequences);
  timer_.lap(Phase::kHead);
  step.candidates = model_.candidates(step.sequences, tokens_.mask);
  timer_.lap(Phase::kSample);
  timer_.count(kind_of(step.boundaries, model_.shape().num_layers));
  if (coordinator_ != nullptr) finish_step(step);
  timer_.lap(Phase::kFinish);
  if (first_step_done_) std::exchange(first_step_done_, {})();
  return {};
}

Result<bool> StepLoop::exchange_plan() {
  if (coordinator_ != nullptr) {
    const bool more = coordinator_->wait_for_work(kHeartbeat);
    timer_.begin();
    Frame frame;
    frame.step = step_;
    frame.kind = static_cast<std::uint8_t>(more ? MessageKind::kStepPlan : MessageKind::kExit);
    if (more) encode(coordinator_->next_plan(batch_), frame.payload);
    control_.send(frame);
    return more;
  }
  Result<Frame> frame = control_.receive(step_, /*while_idle=*/true);
  if (!frame) return frame.error();
  timer_.begin();
  const auto kind = message_kind(frame->kind, {MessageKind::kStepPlan, MessageKind::kExit});
  if (!kind) return kind.error();
  if (*kind == MessageKind::kExit) return false;
  Result<StepPlan> plan = decode_step_plan(frame->payload);
  if (!plan) return plan.error();
  if (Status status = batch_.apply(*plan); !status) return status.error();
  return true;
}

std::vector<StepSequence> StepLoop::query_policies() const {
  std::vector<StepSequence> sequences;
  for (const Sequence* sequence : batch_.participants()) {
    const SequenceSpec& spec = sequence->spec();
    const SequenceView view = sequence->view();
    sequences.push_back({.slot_begin = spec.slot_begin,
                         .canvas = sequence->canvas().first(canvas_reach(spec.policy, view)),
                         .query = spec.policy.policy->query(spec.policy, view),
                         .track = spec.policy.policy->tracks(),
                         .drift = spec.policy.drift,
                         .sampling = spec.sampling,
                         .rules = &spec.rules,
                         .first_generated = static_cast<Position>(spec.prompt.size()),
                         .top_logprobs = spec.top_logprobs,
                         .step = sequence->step()});
  }
  return sequences;
}

Status StepLoop::exchange_boundaries(Step& step) {
  if (coordinator_ == nullptr) return receive_boundaries(step);
  decide_boundaries(step);
  Frame frame{static_cast<std::uint8_t>(MessageKind::kRefreshDecision), step_, {}};
  encode(RefreshDecision{{step.boundaries.begin(), step.boundaries.end()}}, frame.payload);
  control_.send(frame);
  return {};
}

void StepLoop::decide_boundaries(Step& step) const {
  for (std::size_t i = 0; i < step.sequences.size(); ++i) {
    const double gamma = batch_.participants()[i]->spec().policy.gamma;
    step.wanted.push_back(step.sequences[i].runs_reuse_pass()
                              ? drift_boundary(step.similarity[i], gamma)
                              : std::optional(0));
    step.boundaries.push_back(boundary_of(step.wanted[i], model_.shape().num_layers));
  }
}

Status StepLoop::receive_boundaries(Step& step) {
  Result<Frame> frame = control_.receive(step_, /*while_idle=*/false);
  if (!frame) return frame.error();
  if (const auto kind = message_kind(frame->kind, {MessageKind::kRefreshDecision}); !kind)
    return kind.error();
  Result<RefreshDecision> decision = decode_refresh_decision(frame->payload);
  if (!decision) return decision.error();
  if (decision->boundaries.size() != step.sequences.size()) {
    return Error{Code::kInternal,
                 concat("a decision for ",
                        decision->boundaries.size(),
                        " sequences came, ",
                        step.sequences.size(),
                        " run")};
  }
  step.boundaries.assign(decision->boundaries.begin(), decision->boundaries.end());
  return {};
}

void StepLoop::finish_step(Step& step) {
  coordinator_->publish(timer_.times());
  std::vector<SequenceOutcome> outcomes;
  for (std::size_t i = 0; i < step.sequences.size(); ++i) outcomes.push_back(outcome_of(step, i));
  coordinator_->finish_step(batch_, std::move(outcomes));
}

SequenceOutcome StepLoop::outcome_of(Step& step, std::size_t index) const {
  const Sequence& sequence = *batch_.participants()[index];
  const StepSequence& computed = step.sequences[index];
  const std::vector<Candidate>& candidates = step.candidates[index];
  SequenceOutcome outcome;
  outcome.update.id = sequence.spec().id;
  if (!std::ranges::all_of(candidates, &Candidate::finite)) {
    outcome.error = Error{Code::kInternal,
                          concat("the model's logits are not finite in step ", sequence.step())};
    return outcome;
  }
  outcome.update.commits =
      choose_commits(candidates, sequence.spec().commit, sequence.quota(), tokens_.mask);
  if (computed.top_logprobs >= 0)
    outcome.logprobs = logprobs_of(outcome.update.commits, candidates);
  if (computed.track) outcome.update.tracked = tracked_next(computed, index);
  outcome.boundary = step.wanted[index];
  outcome.similarity = std::move(step.similarity[index]);
  if (outcome.boundary)
    outcome.similarity.resize(std::min<std::size_t>(outcome.similarity.size(), *outcome.boundary));
  const auto rows = computed.query.rows.begin();
  outcome.tracked.assign(rows, rows + computed.query.num_tracked);
  const int num_layers = model_.shape().num_layers;
  outcome.layers_refreshed = num_layers - step.boundaries[index];
  outcome.rows_computed = std::ssize(computed.query.rows) * num_layers +
                          std::int64_t{computed.canvas_length()} * outcome.layers_refreshed;
  return outcome;
}

std::vector<Position> StepLoop::tracked_next(const StepSequence& computed,
                                             std::size_t index) const {
  const Sequence& sequence = *batch_.participants()[index];
  const PolicyParams& policy = sequence.spec().policy;
  const std::span<const Position> masked = sequence.masked();
  const auto end = std::ranges::lower_bound(masked, computed.canvas_length());
  return policy.policy->follow(policy,
                               {.mass = model_.attention_mass(static_cast<int>(index)),
                                .canvas_length = computed.canvas_length(),
                                .masked = {masked.begin(), end}});
}

}  // namespace rubato
