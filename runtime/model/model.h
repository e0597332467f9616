#pragma once

#include <span>
#include <vector>

#include "runtime/decoding/commit_rule.h"
#include "runtime/model/step_sequence.h"
#include "runtime/model/weights.h"

namespace rubato {

/// One rank's LLaDA network and its caches, on whichever device. A step is `reuse_pass`, `reduce`,
/// the coordinator's decision, `refresh`, `compute_logits`, `candidates`. All ranks of the group
/// make the same calls. Engine thread only.
class Model {
 public:
  virtual ~Model() = default;

  virtual const ModelShape& shape() const = 0;

  /// Phase A: the reuse pass of every sequence that has one, through all layers.
  virtual void reuse_pass(std::span<const StepSequence> sequences) = 0;

  /// Adds up the reuse pass's drift and mass sums over ranks, of all sequences and layers in one
  /// all-reduce. Returns each sequence's similarity by layer, empty where no test ran: the same on
  /// every rank.
  virtual std::vector<std::vector<double>> reduce(std::span<const StepSequence> sequences) = 0;

  /// Phase B: recomputes all rows of every sequence in the layers from its boundary up (the number
  /// of layers means none), and adds up their attention mass over ranks.
  virtual void refresh(std::span<const StepSequence> sequences,
                       std::span<const int> boundaries) = 0;

  /// This rank's logits of the eligible positions, from the last pass over each. Only as many as
  /// fit in memory; `candidates` computes the rest in batches.
  virtual void compute_logits(std::span<const StepSequence> sequences) = 0;

  /// What the logits say of every eligible position, by sequence. The same on every rank.
  virtual std::vector<std::vector<Candidate>> candidates(std::span<const StepSequence> sequences,
                                                         TokenId mask_id) = 0;

  /// Attention mass of all layers of a tracking sequence, [layers, canvas_length], summed over all
  /// heads; after `candidates`.
  virtual std::span<const float> attention_mass(int sequence) = 0;
};

}  // namespace rubato
