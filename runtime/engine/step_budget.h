#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/engine/sequence.h"

namespace rubato {

/// A running sequence, as `choose_participants` sees it.
struct StepCandidate {
  SequenceId id = 0;
  std::int64_t full_rows = 0;    ///< of the full forward that it needs next; 0: it needs none
  int waited = 0;                ///< consecutive steps that it was left out of
  std::int64_t drift_bytes = 0;  ///< of its drift test; 0: it has none
};

/// What the participants of a step may use together.
struct StepBudget {
  std::int64_t full_rows = 0;
  std::int64_t drift_bytes = 0;
};

/// The sequences that take part in the next step, in the candidates' order: all that need neither a
/// full forward nor a drift test, and of the others those left out longest (ties in order), as long
/// as they fit the budget. At least one of each kind is always taken: one that exceeds the budget
/// by itself runs without others of its kind, so each gets its turn. A sequence's result does not
/// depend on the steps it is left out of.
std::vector<SequenceId> choose_participants(std::span<const StepCandidate> candidates,
                                            const StepBudget& budget);

}  // namespace rubato
