#pragma once

#include <map>
#include <memory>
#include <vector>

#include "runtime/engine/messages.h"
#include "runtime/engine/sequence.h"

namespace rubato {

/// The sequences that hold slots, the same on every rank because the same plans are applied. Engine
/// thread only.
class Batch {
 public:
  explicit Batch(ControlTokens tokens) : tokens_(tokens) {}

  /// Applies a whole plan, as received from the coordinator. Errors: kInternal, when it names a
  /// sequence this rank does not have, or the states disagree (the digest); the job must then stop.
  Status apply(const StepPlan& plan);

  /// Apply the parts of a plan one by one, for the coordinator, which applies them as it makes
  /// them.
  Status update(const SequenceUpdate& update);
  Status release(SequenceId id);
  void admit(const SequenceSpec& spec);
  Status select(std::span<const SequenceId> participants);

  /// The sequences of this step, in the plan's order.
  std::span<const Sequence* const> participants() const { return participants_; }

  /// The sequence, or null.
  const Sequence* find(SequenceId id) const;

  /// A hash of every sequence's state.
  std::uint64_t digest() const;

 private:
  ControlTokens tokens_;
  std::map<SequenceId, std::unique_ptr<Sequence>> sequences_;
  std::vector<const Sequence*> participants_;
};

}  // namespace rubato
