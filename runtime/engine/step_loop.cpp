#include "runtime/engine/step_loop.h"

#include <algorithm>
#include <exception>

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

Status StepLoop::run() {
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
  const std::vector<StepSequence> sequences = query_policies();
  if (sequences.empty()) {  // a heartbeat
    control_.meet(step_);
    return {};
  }
  timer_.lap(Phase::kPlan);
  model_.reuse_pass(sequences);
  timer_.lap(Phase::kReuse);
  std::vector<std::vector<double>> similarity = model_.reduce(sequences);
  timer_.lap(Phase::kReduce);
  std::vector<std::optional<int>> decided;
  std::vector<int> boundaries;
  if (coordinator_ != nullptr) {
    decided = decide_boundaries(sequences, similarity);
    // A refresh of only the last layer would change nothing: only the rows just computed are read
    // from it.
    const int num_layers = model_.shape().num_layers;
    for (const auto& boundary : decided) {
      boundaries.push_back(boundary && (*boundary == 0 || *boundary < num_layers - 1) ? *boundary
                                                                                      : num_layers);
    }
  }
  if (Status status = broadcast_decision(boundaries); !status) return status;
  timer_.lap(Phase::kDecide);
  model_.refresh(sequences, boundaries);
  timer_.lap(Phase::kRefresh);
  model_.compute_logits(sequences);
  timer_.lap(Phase::kHead);
  const auto candidates = model_.candidates(sequences, tokens_.mask);
  timer_.lap(Phase::kSample);
  timer_.count(kind_of(boundaries, model_.shape().num_layers));
  if (coordinator_ != nullptr) {
    coordinator_->publish(timer_.times());
    finish_step(sequences, decided, boundaries, std::move(similarity), candidates);
  }
  timer_.lap(Phase::kFinish);
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
  for (const Sequence* sequence : batch_.running()) {
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

std::vector<std::optional<int>> StepLoop::decide_boundaries(
    std::span<const StepSequence> sequences,
    std::span<const std::vector<double>> similarity) const {
  std::vector<std::optional<int>> boundaries;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    if (!sequences[i].runs_reuse_pass()) {
      boundaries.push_back(0);
    } else {
      boundaries.push_back(drift_boundary(similarity[i], batch_.running()[i]->spec().policy.gamma));
    }
  }
  return boundaries;
}

Status StepLoop::broadcast_decision(std::vector<int>& boundaries) {
  if (coordinator_ != nullptr) {
    Frame frame{static_cast<std::uint8_t>(MessageKind::kRefreshDecision), step_, {}};
    encode(RefreshDecision{{boundaries.begin(), boundaries.end()}}, frame.payload);
    control_.send(frame);
    return {};
  }
  Result<Frame> frame = control_.receive(step_, /*while_idle=*/false);
  if (!frame) return frame.error();
  if (const auto kind = message_kind(frame->kind, {MessageKind::kRefreshDecision}); !kind)
    return kind.error();
  Result<RefreshDecision> decision = decode_refresh_decision(frame->payload);
  if (!decision) return decision.error();
  if (decision->boundaries.size() != batch_.running().size()) {
    return Error{Code::kInternal,
                 concat("a decision for ",
                        decision->boundaries.size(),
                        " sequences came, ",
                        batch_.running().size(),
                        " run")};
  }
  boundaries.assign(decision->boundaries.begin(), decision->boundaries.end());
  return {};
}

void StepLoop::finish_step(std::span<const StepSequence> sequences,
                           std::span<const std::optional<int>> decided,
                           std::span<const int> boundaries,
                           std::vector<std::vector<double>> similarity,
                           std::span<const std::vector<Candidate>> candidates) {
  const int num_layers = model_.shape().num_layers;
  std::vector<SequenceOutcome> outcomes(sequences.size());
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const Sequence& sequence = *batch_.running()[i];
    const StepQuery& query = sequences[i].query;
    SequenceOutcome& outcome = outcomes[i];
    outcome.update.id = sequence.spec().id;
    if (!std::ranges::all_of(candidates[i], &Candidate::finite)) {
      outcome.error = Error{Code::kInternal,
                            concat("the model's logits are not finite in step ", sequence.step())};
      continue;
    }
    outcome.update.commits =
        choose_commits(candidates[i], sequence.spec().commit, sequence.quota(), tokens_.mask);
    if (sequences[i].top_logprobs >= 0)
      outcome.logprobs = logprobs_of(outcome.update.commits, candidates[i]);
    if (sequences[i].track) {
      const PolicyParams& policy = sequence.spec().policy;
      const std::span<const Position> masked = sequence.masked();
      const auto end = std::ranges::lower_bound(masked, sequences[i].canvas_length());
      outcome.update.tracked =
          policy.policy->follow(policy,
                                {.mass = model_.attention_mass(static_cast<int>(i)),
                                 .canvas_length = sequences[i].canvas_length(),
                                 .masked = {masked.begin(), end}});
    }
    outcome.boundary = decided[i];
    outcome.similarity = std::move(similarity[i]);
    if (decided[i])
      outcome.similarity.resize(std::min<std::size_t>(outcome.similarity.size(), *decided[i]));
    outcome.tracked.assign(query.rows.begin(), query.rows.begin() + query.num_tracked);
    outcome.layers_refreshed = num_layers - boundaries[i];
    outcome.rows_computed = std::ssize(query.rows) * num_layers +
                            std::int64_t{sequences[i].canvas_length()} * outcome.layers_refreshed;
  }
  coordinator_->finish_step(batch_, std::move(outcomes));
}

}  // namespace rubato
