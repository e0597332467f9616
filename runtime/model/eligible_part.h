#pragma once

#include <functional>
#include <span>
#include <vector>

#include "runtime/decoding/commit_rule.h"
#include "runtime/model/step_sequence.h"

namespace rubato {

/// The total number of eligible positions in a step.
int num_eligible(std::span<const StepSequence> sequences);

/// The sequences, keeping only the eligible positions numbered [first, end) over all sequences, so
/// that the head runs over a bounded number of rows.
std::vector<StepSequence> eligible_part(std::span<const StepSequence> sequences,
                                        int first,
                                        int end);

/// All candidates, by sequence, from calls of_part(part, first) on consecutive parts of `at_a_time`
/// eligible positions; `first` is the number of the part's first position. Calls it at least once.
std::vector<std::vector<Candidate>> candidates_by_part(
    std::span<const StepSequence> sequences,
    int at_a_time,
    const std::function<std::vector<std::vector<Candidate>>(std::span<const StepSequence> part,
                                                            int first)>& of_part);

}  // namespace rubato
