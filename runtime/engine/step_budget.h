#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/engine/sequence.h"

namespace rubato {

/// A running sequence, as the choice of a step's participants sees it.
struct StepCandidate {
  SequenceId id = 0;
  std::int64_t full_rows = 0;    ///< of the full forward it is due; 0: it is due none
  int waited = 0;                ///< steps that it was left out of, in a row
  std::int64_t drift_bytes = 0;  ///< of its drift test; 0: it makes none
};

/// What the participants of a step may take together.
struct StepBudget {
  std::int64_t full_rows = 0;
  std::int64_t drift_bytes = 0;
};

/// Who takes part in the next step, in the candidates' order: everybody who is due neither a full
/// forward nor a drift test, and of the others those left out longest, ties in order, as long as
/// what they take fits the budget. Of each kind one is always taken: what is above the limit by
/// itself goes without others of its kind, and everybody's turn comes. A sequence's result does not
/// depend on the steps it is left out of.
std::vector<SequenceId> choose_participants(std::span<const StepCandidate> candidates,
                                            const StepBudget& budget);

}  // namespace rubato
