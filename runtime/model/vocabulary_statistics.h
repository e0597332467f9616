#pragma once

#include <cmath>
#include <functional>
#include <span>
#include <vector>

#include "parallel/communicator.h"
#include "runtime/decoding/commit_rule.h"
#include "runtime/model/step_sequence.h"
#include "runtime/model/weights.h"

namespace rubato {

/// Turns each rank's slice of the logits into candidates. Every rank contributes a few numbers per
/// row instead of its logits: for rows that need log-probabilities also its highest logits, for
/// rows sampled under top_p or top_k also the most probable ids, as many as can matter. The
/// log-sum-exp is summed in the same order at any tensor-parallel size. A row with a NaN or
/// infinite logit gives a candidate that is not `finite`. Engine thread only.
class VocabularyStatistics {
 public:
  VocabularyStatistics(const ModelShape& shape, Communicator& communicator);

  /// By sequence, one candidate for each eligible position. logits: [eligible rows of all
  /// sequences, local_vocabulary], changed as the sequences' rules say. The same on every rank.
  std::vector<std::vector<Candidate>> candidates(std::span<const StepSequence> sequences,
                                                 float* logits,
                                                 TokenId mask_id);

  /// A row of this rank's logits, changed as the sequences' rules say; valid until the next call.
  using RowLogits = std::function<std::span<const float>(std::int64_t row)>;

  /// The same, from numbers about each rank's logits that another class has computed. gathered: for
  /// each rank, numbers_per_row numbers per eligible row, then the output of `append_top` for each
  /// row that needs log-probabilities. `row_logits` is called only for rows that are sampled under
  /// top_p or top_k.
  std::vector<std::vector<Candidate>> merge(std::span<const StepSequence> sequences,
                                            std::vector<double> gathered,
                                            const RowLogits& row_logits);

  /// The eligible rows, counted over all sequences, whose logits `merge` reads.
  static std::vector<std::int64_t> whole_rows(std::span<const StepSequence> sequences);

  /// A rank's numbers for one row: score, logit and id of the pick; the same for the best id that
  /// is not MASK; then for each group of ids the greatest logit and the sum of exp(logit -
  /// greatest).
  std::int64_t numbers_per_row() const { return numbers_per_row(groups_); }
  static std::int64_t numbers_per_row(int groups) { return 2 * kScoredNumbers + 2 * groups; }
  /// The number of a rank's numbers for a step.
  std::int64_t num_numbers(std::span<const StepSequence> sequences) const;
  /// The number of groups of a rank's ids.
  int groups() const { return groups_; }
  static int num_groups(const ModelShape& shape);

  /// Whether a sequence's rows are sampled under top_p or top_k.
  static bool truncates(const SamplingParams& sampling) {
    return sampling.temperature > 0 && (sampling.top_k > 0 || sampling.top_p < 1);
  }

 private:
  static constexpr int kScoredNumbers = 3;

  struct Scored {
    double score = 0;  // what is maximised: z, or z / T + noise
    double logit = 0;
    double id = -1;
  };
  struct RowMerge {
    Scored pick, best_unmasked;
    double most = -INFINITY;  // the greatest logit
    double sum = 0;           // of exp(z - most)

    /// Whether all logits were finite: one that is not makes its group's sum NaN, and so `sum`.
    bool finite() const { return std::isfinite(sum); }
    /// An id's probability under the softmax of all logits. Not computed from a log-sum-exp, whose
    /// rounding would hide how far probabilities are from 1, and so which of two is greater.
    double probability(double logit) const { return std::exp(logit - most) / sum; }
    double logprob(double logit) const { return logit - most - std::log(sum); }
  };

  void write_numbers(const StepSequence& sequence,
                     Position position,
                     const float* logits,
                     TokenId mask_id,
                     double* out) const;
  Scored scored(const float* logits, int index, double score) const;
  Scored noised_pick(const StepSequence& sequence,
                     Position position,
                     const float* logits,
                     int most_probable) const;
  Scored best_other_than(TokenId id, const float* logits) const;
  RowMerge merge_row(std::int64_t row) const;
  void add_top(std::span<const StepSequence> sequences,
               std::vector<std::vector<Candidate>>& candidates) const;

  const ModelShape shape_;
  Communicator& communicator_;
  int groups_;                    // of this rank
  std::int64_t numbers_per_row_;  // of a rank
  std::vector<double> gathered_;  // [tp, num_numbers]
  std::vector<RowMerge> merged_;  // [rows]
};

}  // namespace rubato
