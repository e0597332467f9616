#pragma once

#include <vector>

#include "runtime/checkpoint/model_config.h"
#include "runtime/engine/generation.h"

namespace rubato::testing::reference {

using Positions = std::vector<Position>;

/// begin .. end - 1
Positions range(Position begin, Position end);

/// A canvas as it fills: which positions are masked, which block is current, and what EOS does.
class Canvas {
 public:
  Canvas(const ModelConfig& config, const GenerationRequest& request);

  Position length() const { return static_cast<Position>(tokens_.size()); }
  const std::vector<TokenId>& tokens() const { return tokens_; }
  const Positions& masked() const { return masked_; }  ///< those still to be filled, ascending
  const Positions& committed_last() const { return committed_last_; }  ///< by the step before
  bool done() const { return masked_.empty(); }

  /// 0-based; of the whole, and since the current block became current.
  int step() const { return step_; }
  int step_in_block() const { return step_in_block_; }
  Position block_begin() const { return block_begin_; }
  Position block_end() const { return block_end_; }

  /// How many positions the steps schedule commits in this step.
  int quota() const;

  /// Ends a step: commits these, which ascend.
  void write(const std::vector<Commit>& commits);

 private:
  void enter_block();

  const ModelConfig config_;
  const GenerationRequest request_;
  Position prompt_length_;
  int block_length_;
  std::vector<TokenId> tokens_;
  Positions masked_;
  Positions committed_last_;
  bool eos_met_ = false;
  int step_ = 0;

  Position block_begin_ = -1, block_end_ = -1;
  int block_masks_ = 0;  // when the block became current
  int step_in_block_ = 0;
};

}  // namespace rubato::testing::reference
