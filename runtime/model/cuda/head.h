#pragma once

#include "runtime/model/cuda/context.h"
#include "runtime/model/cuda/fetched_rows.h"
#include "runtime/model/vocabulary_statistics.h"

namespace rubato::cuda {

/// From the outputs of the last layer to candidates: final norm, this rank's logits, what they say.
/// A step is its passes, which write `window_hidden`, then the rest in order, for up to
/// `rows_at_a_time` eligible rows after the other: what the windows of clients are like, does not
/// decide how many logits there are. Engine thread only.
class Head {
 public:
  static constexpr int kRowsAtATime = 1024;  ///< 494 MiB of logits of LLaDA-8B's vocabulary

  /// `host` carries what only rows with top_p or top_k exchange. rows: the most eligible ones that
  /// a step has. Throws OutOfMemory.
  Head(Context& context, Communicator& host, std::int64_t rows, int rows_at_a_time);

  int rows_at_a_time() const { return rows_at_a_time_; }

  /// [eligible rows of all sequences, d_model]
  void* window_hidden() { return window_hidden_.bytes(0); }

  /// Of a part of the step (`eligible_part`), the first of whose rows is the `first` of all.
  void compute_logits(std::span<const StepSequence> part, int first);
  /// Enqueues what the part's logits are to be looked at for, and the copies of what is found.
  void describe(std::span<const StepSequence> part, TokenId mask_id);
  /// When that has been waited for.
  std::vector<std::vector<Candidate>> candidates(std::span<const StepSequence> part);

  /// The bytes of GPU memory that it takes.
  static std::int64_t scratch_bytes(const ModelShape& shape, std::int64_t rows, int rows_at_a_time);

 private:
  Context& context_;
  const ModelShape& shape_;
  const int rows_at_a_time_;
  VocabularyStatistics vocabulary_;
  Memory window_hidden_;
  Memory normed_;  // [rows at a time, d_model]
  Memory logits_;  // [rows at a time, local_vocabulary] of float
  // Whether they are rounded and changed. Those that nothing changes, and nothing but
  // describe_vocabulary reads, it rounds itself.
  bool finished_ = false;
  Memory changes_, host_changes_{Memory::Place::kPinned};
  Memory scratch_;
  Memory numbers_;      // [VocabularyStatistics::num_numbers]
  Memory all_numbers_;  // [tp, the same]
  Memory host_numbers_{Memory::Place::kPinned};
  FetchedRows host_logits_;
};

}  // namespace rubato::cuda
