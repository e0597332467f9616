#include "runtime/model/vocabulary_statistics.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>

#include "runtime/base/check.h"
#include "runtime/decoding/noise.h"
#include "runtime/model/top_logits.h"

namespace rubato {
namespace {

/// The ids of some logits by probability, ties to the lowest; sorted only as far as needed.
class MostProbable {
 public:
  explicit MostProbable(std::span<const float> logits) : logits_(logits), order_(logits.size()) {
    std::iota(order_.begin(), order_.end(), 0);
  }

  TokenId operator[](std::size_t place) {
    while (place >= sorted_) sort_more();
    return order_[place];
  }

 private:
  void sort_more() {
    const auto next = std::min(std::max<std::size_t>(32, 4 * sorted_), order_.size());
    std::partial_sort(order_.begin() + sorted_,
                      order_.begin() + next,
                      order_.end(),
                      [this](TokenId a, TokenId b) {
                        return logits_[a] != logits_[b] ? logits_[a] > logits_[b] : a < b;
                      });
    sorted_ = next;
  }

  std::span<const float> logits_;
  std::vector<TokenId> order_;
  std::size_t sorted_ = 0;
};

/// Every rank's doubles, [tp, count].
std::vector<double> gather(Communicator& communicator, std::span<const double> mine) {
  const auto count = static_cast<std::int64_t>(mine.size());
  at::Tensor part = at::empty({count}, at::kDouble),
             all = at::empty({communicator.size(), count}, at::kDouble);
  std::memcpy(part.data_ptr(), mine.data(), mine.size_bytes());
  communicator.all_gather(part, all);
  return {all.data_ptr<double>(), all.data_ptr<double>() + all.numel()};
}

}  // namespace

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
      describe(
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
  return merge(sequences, gather(communicator_, mine), [&](std::int64_t row) {
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
        merged.pick.id =
            sample_truncated(sequence, position, row_logits(row - 1), merged.pick.logit);
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

void VocabularyStatistics::describe(const StepSequence& sequence,
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

TokenId VocabularyStatistics::sample_truncated(const StepSequence& sequence,
                                               Position position,
                                               std::span<const float> logits,
                                               double& logit) {
  const SamplingParams& sampling = sequence.sampling;
  // The sum over all ids at this temperature, which every rank needs for its probabilities: added
  // by groups of ids in order, so that it does not depend on the number of ranks.
  const std::size_t group_size = logits.size() / groups_;
  std::vector<double> of_groups;
  for (int group = 0; group < groups_; ++group) {
    const std::span ids = logits.subspan(group * group_size, group_size);
    const double group_most = std::ranges::max(ids);
    double sum = 0;
    for (const float z : ids) sum += std::exp((z - group_most) / sampling.temperature);
    of_groups.insert(of_groups.end(), {group_most, sum});
  }
  const std::vector<double> parts = gather(communicator_, of_groups);
  double most = -INFINITY, total = 0;
  for (std::size_t g = 0; g < parts.size(); g += 2) most = std::max(most, parts[g]);
  for (std::size_t g = 0; g < parts.size(); g += 2)
    total += parts[g + 1] * std::exp((parts[g] - most) / sampling.temperature);

  // An id can be in the nucleus only while the more probable ids of its own rank leave room in it.
  MostProbable order(logits);
  const auto limit =
      sampling.top_k > 0 ? std::min<std::size_t>(sampling.top_k, logits.size()) : logits.size();
  std::size_t count = 0;
  for (double above = 0; count < limit && (sampling.top_k > 0 || above < sampling.top_p); ++count) {
    above += std::exp((logits[order[count]] - most) / sampling.temperature) / total;
  }
  std::size_t widest = 0;
  for (const double c : gather(communicator_, std::array{static_cast<double>(count)}))
    widest = std::max(widest, static_cast<std::size_t>(c));
  std::vector<double> mine(2 * widest, -1);
  for (std::size_t i = 0; i < count; ++i) {
    mine[2 * i] = shape_.first_vocabulary_id() + order[i];
    mine[2 * i + 1] = logits[order[i]];
  }
  const std::vector<double> gathered = gather(communicator_, mine);
  std::vector<Scored> all;
  for (std::size_t i = 0; i < gathered.size(); i += 2) {
    if (gathered[i] >= 0) all.push_back({0, gathered[i + 1], gathered[i]});
  }
  std::ranges::sort(all, [](const Scored& a, const Scored& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  });
  if (sampling.top_k > 0 && all.size() > static_cast<std::size_t>(sampling.top_k))
    all.resize(sampling.top_k);
  const auto weight = [&](const Scored& s) {
    return std::exp((s.logit - most) / sampling.temperature);
  };
  if (sampling.top_k > 0) {
    total = 0;
    for (const Scored& s : all) total += weight(s);
  }
  Scored pick{-INFINITY, 0, -1};
  double above = 0;
  for (Scored s : all) {
    if (above >= sampling.top_p && pick.id >= 0) break;
    above += weight(s) / total;
    s.score = s.logit / sampling.temperature +
              gumbel_noise(sampling.seed, sequence.step, position, static_cast<TokenId>(s.id));
    if (s.score > pick.score || (s.score == pick.score && s.id < pick.id)) pick = s;
  }
  logit = pick.logit;
  return static_cast<TokenId>(pick.id);
}

}  // namespace rubato
