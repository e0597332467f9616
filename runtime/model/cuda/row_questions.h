#pragma once

#include <span>
#include <vector>

#include "runtime/model/cuda/kernels.h"
#include "runtime/model/step_sequence.h"
#include "runtime/model/weights.h"

namespace rubato::cuda {

/// How the eligible rows of a step are to be looked at, in order. Rows sampled under top_p or top_k
/// are sampled elsewhere (VocabularyStatistics).
std::vector<RowQuestion> row_questions(std::span<const StepSequence> sequences);

/// The eligible rows of which log-probabilities are wanted. Their pairs stand one after the other,
/// as VocabularyStatistics merges them.
std::vector<TopRow> top_rows(std::span<const StepSequence> sequences);

/// What the sequences' rules change in this rank's slice of the eligible rows' logits: no logit
/// twice.
std::vector<LogitChange> logit_changes(std::span<const StepSequence> sequences,
                                       const ModelShape& shape);

}  // namespace rubato::cuda
