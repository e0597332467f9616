#include "runtime/model/truncated_sampling.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "runtime/decoding/noise.h"
#include "runtime/model/gather_numbers.h"

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

/// A softmax at a temperature: an id's probability is weight(its logit) / total.
struct TemperedSoftmax {
  double temperature = 1;
  double most = -INFINITY;  // the greatest logit
  double total = 0;         // of the weights

  double weight(double logit) const { return std::exp((logit - most) / temperature); }
};

/// The softmax over all ranks' ids, added by groups of ids in order, so that it does not depend on
/// the number of ranks.
TemperedSoftmax softmax_of_all(Communicator& communicator,
                               std::span<const float> logits,
                               int groups,
                               double temperature) {
  const std::size_t group_size = logits.size() / groups;
  std::vector<double> of_groups;
  for (int group = 0; group < groups; ++group) {
    const std::span ids = logits.subspan(group * group_size, group_size);
    const double group_most = std::ranges::max(ids);
    double sum = 0;
    for (const float z : ids) sum += std::exp((z - group_most) / temperature);
    of_groups.insert(of_groups.end(), {group_most, sum});
  }
  const std::vector<double> parts = gather_numbers(communicator, of_groups);
  TemperedSoftmax softmax{.temperature = temperature};
  for (std::size_t g = 0; g < parts.size(); g += 2) softmax.most = std::max(softmax.most, parts[g]);
  for (std::size_t g = 0; g < parts.size(); g += 2)
    softmax.total += parts[g + 1] * softmax.weight(parts[g]);
  return softmax;
}

/// This rank's ids that may be in the nucleus: they are only while the more probable ids of their
/// own rank leave room in it.
std::vector<TokenLogit> likely_here(const TemperedSoftmax& softmax,
                                    const SamplingParams& sampling,
                                    std::span<const float> logits,
                                    TokenId first_id) {
  MostProbable order(logits);
  const auto limit =
      sampling.top_k > 0 ? std::min<std::size_t>(sampling.top_k, logits.size()) : logits.size();
  std::vector<TokenLogit> likely;
  double above = 0;
  while (likely.size() < limit && (sampling.top_k > 0 || above < sampling.top_p)) {
    const TokenId index = order[likely.size()];
    likely.push_back({first_id + index, logits[index]});
    above += softmax.weight(logits[index]) / softmax.total;
  }
  return likely;
}

/// Every rank's, by probability, ties to the lowest id; at most top_k.
std::vector<TokenLogit> gather_likely(Communicator& communicator,
                                      const SamplingParams& sampling,
                                      std::span<const TokenLogit> here) {
  std::size_t widest = 0;
  for (const double count :
       gather_numbers(communicator, std::array{static_cast<double>(here.size())}))
    widest = std::max(widest, static_cast<std::size_t>(count));
  std::vector<double> mine(2 * widest, -1);
  for (std::size_t i = 0; i < here.size(); ++i) {
    mine[2 * i] = here[i].id;
    mine[2 * i + 1] = here[i].logit;
  }
  const std::vector<double> gathered = gather_numbers(communicator, mine);
  std::vector<TokenLogit> all;
  for (std::size_t i = 0; i < gathered.size(); i += 2) {
    if (gathered[i] >= 0) all.push_back({static_cast<TokenId>(gathered[i]), gathered[i + 1]});
  }
  std::ranges::sort(all, [](const TokenLogit& a, const TokenLogit& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  });
  if (sampling.top_k > 0 && all.size() > static_cast<std::size_t>(sampling.top_k))
    all.resize(sampling.top_k);
  return all;
}

/// The likely id with the highest noised logit among those that the nucleus, whose probabilities
/// are relative to `total`, has room for.
TokenLogit draw(const TemperedSoftmax& softmax,
                double total,
                const StepSequence& sequence,
                Position position,
                std::span<const TokenLogit> likely) {
  const SamplingParams& sampling = sequence.sampling;
  TokenLogit pick{-1, 0};
  double above = 0, best = -INFINITY;
  for (const TokenLogit& token : likely) {
    if (above >= sampling.top_p && pick.id >= 0) break;
    above += softmax.weight(token.logit) / total;
    const double score = token.logit / sampling.temperature +
                         gumbel_noise(sampling.seed, sequence.step, position, token.id);
    if (score > best || (score == best && token.id < pick.id)) {
      best = score;
      pick = token;
    }
  }
  return pick;
}

}  // namespace

TokenLogit sample_truncated(Communicator& communicator,
                            const ModelShape& shape,
                            const StepSequence& sequence,
                            Position position,
                            std::span<const float> logits) {
  const SamplingParams& sampling = sequence.sampling;
  const int groups = local_groups(shape.vocabulary, shape.tp_size);
  const TemperedSoftmax softmax =
      softmax_of_all(communicator, logits, groups, sampling.temperature);
  const std::vector<TokenLogit> likely = gather_likely(
      communicator, sampling, likely_here(softmax, sampling, logits, shape.first_vocabulary_id()));
  double total = softmax.total;
  if (sampling.top_k > 0) {  // top_p is of what top_k leaves
    total = 0;
    for (const TokenLogit& token : likely) total += softmax.weight(token.logit);
  }
  return draw(softmax, total, sequence, position, likely);
}

}  // namespace rubato
