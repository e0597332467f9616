#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "cache/slots.h"
#include "runtime/engine/sequence.h"

namespace rubato {

struct SchedulerLimits {
  std::int64_t cache_tokens = 16384;  ///< cache rows, shared by all running sequences
  int max_sequences = 64;             ///< running at once
};

/// Decides which sequence gets a slot: in order of arrival, as long as a contiguous one is free.
/// None overtakes the head of the queue, so none starves. Pure bookkeeping: it never sees a token.
/// Owner: the coordinator; not thread safe.
class Scheduler {
 public:
  explicit Scheduler(SchedulerLimits limits) : limits_(limits), slots_(limits.cache_tokens) {}

  /// Puts a sequence at the end of the queue. `spec.slot_begin` is set when it is admitted.
  void enqueue(SequenceSpec spec) { waiting_.push_back(std::move(spec)); }

  /// Moves sequences from the queue into slots while they fit; returns them.
  std::vector<SequenceSpec> admit();

  /// Removes a sequence, running or waiting. True if it held a slot, which is now free.
  bool remove(SequenceId id);

  /// The running sequences, in order of admission.
  const std::vector<SequenceId>& running() const { return running_; }

  int num_waiting() const { return static_cast<int>(waiting_.size()); }
  std::int64_t waiting_prompt_tokens() const;  ///< of those waiting, suffixes included

  /// The sequence that has waited longest, or null.
  const SequenceSpec* first_waiting() const {
    return waiting_.empty() ? nullptr : &waiting_.front();
  }
  const SlotAllocator& slots() const { return slots_; }

 private:
  SchedulerLimits limits_;
  SlotAllocator slots_;
  std::deque<SequenceSpec> waiting_;
  std::vector<SequenceId> running_;
  std::vector<std::int64_t> slot_begins_;  // beside running_
};

}  // namespace rubato
