#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/engine/sequence.h"

namespace rubato {

/// A running sequence, as the choice of a step's participants sees it.
struct StepCandidate {
  SequenceId id = 0;
  std::int64_t full_rows = 0;  ///< of the full forward it is due; 0: it is due none
  int waited = 0;              ///< steps that it was left out of, in a row
};

/// Who takes part in the next step, in the candidates' order: everybody who is due no full forward,
/// and of the others those left out longest, ties in order, as long as their full forwards take no
/// more than `max_full_rows` rows together. One is always taken: a canvas above the limit goes
/// without others, and everybody's turn comes. A sequence's result does not depend on the steps it
/// is left out of.
std::vector<SequenceId> choose_participants(std::span<const StepCandidate> candidates,
                                            std::int64_t max_full_rows);

}  // namespace rubato
