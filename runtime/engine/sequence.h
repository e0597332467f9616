#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cache/policy.h"
#include "cache/types.h"
#include "runtime/engine/decoding_request.h"

namespace rubato {

/// Names a sequence on the wire; never used twice in a run of the server.
using SequenceId = std::uint64_t;

/// The two token ids that decoding itself needs.
struct ControlTokens {
  TokenId mask = 0;
  TokenId eos = 0;
};

/// Everything a rank needs to know of a sequence when it is admitted.
struct SequenceSpec : DecodingRequest {
  SequenceId id = 0;
  std::int64_t slot_begin = 0;  ///< first cache row of its slot

  bool operator==(const SequenceSpec&) const = default;
};

/// What a finished step changes in a sequence; decided by the coordinator, applied by every rank.
struct SequenceUpdate {
  SequenceId id = 0;
  std::vector<Commit> commits;    ///< ascending by position
  std::vector<Position> tracked;  ///< ascending; queried in the next step

  bool operator==(const SequenceUpdate&) const = default;
};

/// A canvas being filled in: the same state, changed by the same updates, on every rank. Engine
/// thread only.
class Sequence {
 public:
  Sequence(SequenceSpec spec, ControlTokens tokens);

  const SequenceSpec& spec() const { return spec_; }
  std::span<const TokenId> canvas() const { return canvas_; }
  std::span<const Position> masked() const { return masked_; }
  int step() const { return step_; }

  /// The snapshot that policies take. Its spans are valid until the next `apply`.
  SequenceView view() const;

  /// How many positions a schedule commits in this step.
  int quota() const;

  /// Whether an update is valid in this state: it commits masked positions, names only positions of
  /// the canvas, and ascends.
  bool accepts(const SequenceUpdate& update) const;

  /// Ends a step: writes the commits, applies the EOS rule, moves on to the next block. The update
  /// must be one that it `accepts`.
  void apply(const SequenceUpdate& update);

  /// Whether every mask before the first EOS is filled.
  bool done() const { return masked_.empty(); }

  /// A hash of the decoding state, by which ranks detect that they disagree.
  std::uint64_t digest() const;

 private:
  void drop_masks_behind_first_eos();
  void enter_current_block();

  SequenceSpec spec_;
  ControlTokens tokens_;
  std::vector<TokenId> canvas_;
  std::vector<Position> masked_;          // ascending
  std::vector<Position> committed_last_;  // ascending
  std::vector<Position> tracked_;         // ascending
  int step_ = 0;
  bool eos_seen_ = false;
  int block_ = -1;
  int step_in_block_ = 0;
  int masks_at_block_start_ = 0;
};

}  // namespace rubato
