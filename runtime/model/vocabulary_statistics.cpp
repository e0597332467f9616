#include "runtime/model/vocabulary_statistics.h"

#include <algorithm>
#include <cmath>

#include "runtime/base/check.h"
#include "runtime/decoding/noise.h"
#include "runtime/model/gather_numbers.h"
#include "runtime/model/top_logits.h"
#include "runtime/model/truncated_sampling.h"

namespace rubato {

VocabularyStatistics::VocabularyStatistics(const ModelShape& shape, Communicator& communicator)
    : shape_(shape),
      communicator_(communicator),
      groups_(num_groups(shape)),
      numbers_per_row_(numbers_per_row(groups_)) {}

int VocabularyStatistics::num_groups(const ModelShape& shape) {
  return local_groups(shape.vocabulary, shape.tp_size);
}

std::vector<std::vector<Candidate>> VocabularyStatistics::candidates(
    std::span<const StepSequence> sequences, float* logits, TokenId mask_id) {
  std::vector<double> mine;
  float* row_logits = logits;
  for (const StepSequence& sequence : sequences) {
    for (const Position position : sequence.query.eligible) {
      if (const Position index = position - sequence.first_generated;
          sequence.rules != nullptr && sequence.rules->change(index)) {
        const std::span row(row_logits, shape_.local_vocabulary());
        apply_rules(*sequence.rules, index, shape_.first_vocabulary_id(), row);
      }
      mine.resize(mine.size() + numbers_per_row_);
      write_numbers(
          sequence, position, row_logits, mask_id, mine.data() + mine.size() - numbers_per_row_);
      row_logits += shape_.local_vocabulary();
    }
  }
  const float* values = logits;
  for (const StepSequence& sequence : sequences) {
    for (std::size_t i = 0; i < sequence.query.eligible.size(); ++i) {
      const std::span row(values, shape_.local_vocabulary());
      if (sequence.top_logprobs > 0)
        append_top(row, shape_.first_vocabulary_id(), sequence.top_logprobs, mine);
      values += shape_.local_vocabulary();
    }
  }
  return merge(sequences, gather_numbers(communicator_, mine), [&](std::int64_t row) {
    return std::span<const float>(logits + row * shape_.local_vocabulary(),
                                  shape_.local_vocabulary());
  });
}

std::vector<std::vector<Candidate>> VocabularyStatistics::merge(
    std::span<const StepSequence> sequences,
    std::vector<double> gathered,
    const RowLogits& row_logits) {
  gathered_ = std::move(gathered);
  RUBATO_CHECK(std::ssize(gathered_) == num_numbers(sequences) * shape_.tp_size,
               gathered_.size(),
               " numbers came");
  std::vector<std::vector<Candidate>> answer;
  merged_.clear();
  std::int64_t row = 0;
  for (const StepSequence& sequence : sequences) {
    auto& candidates = answer.emplace_back();
    for (const Position position : sequence.query.eligible) {
      RowMerge merged = merge_row(row++);
      merged_.push_back(merged);
      if (!merged.finite()) {  // the same on all ranks: none exchanges more of this row
        candidates.push_back({.position = position, .finite = false});
        continue;
      }
      if (truncates(sequence.sampling)) {
        const TokenLogit sampled =
            sample_truncated(communicator_, shape_, sequence, position, row_logits(row - 1));
        merged.pick.id = sampled.id;
        merged.pick.logit = sampled.logit;
      }
      candidates.push_back({.position = position,
                            .token = static_cast<TokenId>(merged.pick.id),
                            .confidence = merged.probability(merged.pick.logit),
                            .best_unmasked = static_cast<TokenId>(merged.best_unmasked.id),
                            .logprob = merged.logprob(merged.pick.logit),
                            .best_unmasked_logprob = merged.logprob(merged.best_unmasked.logit)});
    }
  }
  add_top(sequences, answer);
  return answer;
}

std::vector<std::int64_t> VocabularyStatistics::whole_rows(
    std::span<const StepSequence> sequences) {
  std::vector<std::int64_t> rows;
  std::int64_t row = 0;
  for (const StepSequence& sequence : sequences) {
    for (std::size_t i = 0; i < sequence.query.eligible.size(); ++i, ++row) {
      if (truncates(sequence.sampling)) rows.push_back(row);
    }
  }
  return rows;
}

std::int64_t VocabularyStatistics::num_numbers(std::span<const StepSequence> sequences) const {
  std::int64_t count = 0;
  for (const StepSequence& sequence : sequences) {
    const std::int64_t top = std::max(0, sequence.top_logprobs);
    count += std::ssize(sequence.query.eligible) * (numbers_per_row_ + 2 * top);
  }
  return count;
}

void VocabularyStatistics::add_top(std::span<const StepSequence> sequences,
                                   std::vector<std::vector<Candidate>>& candidates) const {
  const std::size_t stride = gathered_.size() / shape_.tp_size;
  std::size_t begin = merged_.size() * numbers_per_row_, row = 0;
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    const int count = sequences[s].top_logprobs;
    for (Candidate& candidate : candidates[s]) {
      const RowMerge& merged = merged_[row++];
      if (count <= 0) continue;
      if (candidate.finite) {
        candidate.top =
            merge_top(gathered_, begin, stride, count, merged.most, std::log(merged.sum));
      }
      begin += 2 * static_cast<std::size_t>(count);
    }
  }
}

void VocabularyStatistics::write_numbers(const StepSequence& sequence,
                                         Position position,
                                         const float* logits,
                                         TokenId mask_id,
                                         double* out) const {
  const std::int64_t group_size = shape_.local_vocabulary() / groups_;
  float most = -INFINITY;
  double* group_out = out + 2 * kScoredNumbers;
  for (int group = 0; group < groups_; ++group) {
    const GroupStatistics statistics =
        kernels().group_statistics(logits + group * group_size, group_size);
    *group_out++ = statistics.max;
    *group_out++ = statistics.sum;
    most = std::max(most, statistics.max);
  }
  // (The last id, if all logits are NaN.)
  const auto index =
      static_cast<int>(std::find(logits, logits + shape_.local_vocabulary() - 1, most) - logits);
  const bool noised = sequence.sampling.temperature > 0 && !truncates(sequence.sampling);
  const Scored pick = noised ? noised_pick(sequence, position, logits, index)
                             : scored(logits, index, logits[index]);
  const bool masked = shape_.first_vocabulary_id() + index == mask_id;
  const Scored unmasked =
      masked ? best_other_than(mask_id, logits) : scored(logits, index, logits[index]);
  for (const Scored& one : {pick, unmasked}) {
    *out++ = one.score;
    *out++ = one.logit;
    *out++ = one.id;
  }
}

VocabularyStatistics::Scored VocabularyStatistics::scored(const float* logits,
                                                          int index,
                                                          double score) const {
  return {score, logits[index], static_cast<double>(shape_.first_vocabulary_id() + index)};
}

VocabularyStatistics::Scored VocabularyStatistics::noised_pick(const StepSequence& sequence,
                                                               Position position,
                                                               const float* logits,
                                                               int most_probable) const {
  const SamplingParams& sampling = sequence.sampling;
  const auto score_of = [&](int i) {
    return logits[i] / sampling.temperature +
           gumbel_noise(sampling.seed, sequence.step, position, shape_.first_vocabulary_id() + i);
  };
  Scored pick = scored(logits, most_probable, score_of(most_probable));
  for (int i = 0; i < shape_.local_vocabulary(); ++i) {
    // Noise is expensive, and for most ids no noise could lift them above the best.
    if (logits[i] / sampling.temperature + kMostGumbelNoise < pick.score) continue;
    const Scored other = scored(logits, i, score_of(i));
    if (other.score > pick.score || (other.score == pick.score && other.id < pick.id)) pick = other;
  }
  return pick;
}

VocabularyStatistics::Scored VocabularyStatistics::best_other_than(TokenId id,
                                                                   const float* logits) const {
  Scored best{-INFINITY, 0, -1};
  for (int i = 0; i < shape_.local_vocabulary(); ++i) {
    if (logits[i] > best.score && shape_.first_vocabulary_id() + i != id)
      best = scored(logits, i, logits[i]);
  }
  return best;
}

VocabularyStatistics::RowMerge VocabularyStatistics::merge_row(std::int64_t row) const {
  RowMerge merged;
  merged.pick.score = merged.best_unmasked.score = -INFINITY;
  const std::int64_t stride = std::ssize(gathered_) / shape_.tp_size;
  const auto numbers = [&](int rank) {
    return gathered_.data() + rank * stride + row * numbers_per_row_;
  };
  for (int rank = 0; rank < shape_.tp_size;
       ++rank) {  // ranks ascend by id: the first best is the lowest id
    const double* at = numbers(rank);
    if (at[0] > merged.pick.score) merged.pick = {at[0], at[1], at[2]};
    if (at[3] > merged.best_unmasked.score) merged.best_unmasked = {at[3], at[4], at[5]};
    for (int group = 0; group < groups_; ++group)
      merged.most = std::max(merged.most, at[2 * kScoredNumbers + 2 * group]);
  }
  for (int rank = 0; rank < shape_.tp_size; ++rank) {
    const double* at = numbers(rank) + 2 * kScoredNumbers;
    for (int group = 0; group < groups_; ++group)
      merged.sum += at[2 * group + 1] * std::exp(at[2 * group] - merged.most);
  }
  return merged;
}

}  // namespace rubato
