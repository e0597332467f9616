#pragma once

#include <functional>
#include <span>
#include <vector>

#include "runtime/decoding/commit_rule.h"
#include "runtime/model/step_sequence.h"

namespace rubato {

/// How many eligible positions the sequences of a step have together.
int num_eligible(std::span<const StepSequence> sequences);

/// The sequences with only those eligible positions that are [first, end) of all of theirs, so that
/// the head runs over a bounded number of rows.
std::vector<StepSequence> eligible_part(std::span<const StepSequence> sequences,
                                        int first,
                                        int end);

/// By sequence, the candidates that `of_part` gives of `at_a_time` eligible positions after the
/// other: of_part(part, first), where `first` is the number of the part's first position. Called at
/// least once.
std::vector<std::vector<Candidate>> candidates_by_part(
    std::span<const StepSequence> sequences,
    int at_a_time,
    const std::function<std::vector<std::vector<Candidate>>(std::span<const StepSequence> part,
                                                            int first)>& of_part);

}  // namespace rubato
