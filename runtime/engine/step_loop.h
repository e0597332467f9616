#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "parallel/control_channel.h"
#include "runtime/engine/batch.h"
#include "runtime/engine/coordinator.h"
#include "runtime/model/model.h"

namespace rubato {

/// The engine of one rank: the same steps on every rank of the group, planned by the coordinator on
/// rank 0. Engine thread only.
class StepLoop {
 public:
  /// `coordinator` is null on all ranks but 0.
  StepLoop(Model& model, ControlChannel& control, ControlTokens tokens, Coordinator* coordinator);

  /// Makes steps until the coordinator has shut down. Errors: kInternal, when this rank and the
  /// coordinator disagree or the model throws; every accepted generation has received the error;
  /// the caller must end the process, and with it the job. Calls `first_step_done`, if given, once.
  Status run(std::function<void()> first_step_done = {});

  /// Where this rank's time went. On rank 0 other threads get it from the coordinator.
  const StepTimes& times() const { return timer_.times(); }

 private:
  /// A step as far as it has come, with an element for each of its sequences everywhere.
  struct Step {
    std::vector<StepSequence> sequences;
    std::vector<std::vector<double>> similarity;  ///< of the attention of each layer tested
    std::vector<std::optional<int>> wanted;       ///< boundaries by policy or drift; rank 0 only
    std::vector<int> boundaries;                  ///< first layers to refresh; num_layers: none
    std::vector<std::vector<Candidate>> candidates;
  };

  Status run_steps();
  Result<bool> exchange_plan();
  Status run_step();
  std::vector<StepSequence> query_policies() const;
  Status exchange_boundaries(Step& step);
  void decide_boundaries(Step& step) const;
  Status receive_boundaries(Step& step);
  void finish_step(Step& step);
  SequenceOutcome outcome_of(Step& step, std::size_t index) const;
  std::vector<Position> tracked_next(const StepSequence& computed, std::size_t index) const;

  Model& model_;
  ControlChannel& control_;
  const ControlTokens tokens_;
  Coordinator* const coordinator_;
  Batch batch_;
  StepTimer timer_;
  std::uint64_t step_ = 0;
  std::function<void()> first_step_done_;  // empty: it has been called
};

}  // namespace rubato
