#pragma once

#include <cstdint>
#include <span>

#include "cache/policy.h"
#include "cache/types.h"
#include "runtime/decoding/logit_rules.h"
#include "runtime/decoding/params.h"

namespace rubato {

/// One sequence's part of a step, as the model sees it. Spans are borrowed for the step.
struct StepSequence {
  std::int64_t slot_begin = 0;      ///< its slot's first cache row
  std::span<const TokenId> canvas;  ///< token ids as this step reads them
  StepQuery query;                  ///< from its policy
  bool track = false;               ///< whether attention mass is needed
  DriftMeasure drift = DriftMeasure::kHeads;
  SamplingParams sampling;
  const LogitRules* rules = nullptr;  ///< null: none
  Position first_generated = 0;       ///< where the counting of `rules` starts
  int top_logprobs = -1;              ///< log-probabilities per eligible position; -1: none
  int step = 0;

  Position canvas_length() const { return static_cast<Position>(canvas.size()); }
  bool runs_reuse_pass() const { return query.refresh != Refresh::kFull; }
  bool tests_drift() const { return query.refresh == Refresh::kByDrift && query.num_tracked > 0; }
};

}  // namespace rubato
