#include "tests/support/reference/choice.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "tests/support/reference/noise.h"

namespace rubato::testing::reference {
namespace {

std::vector<double> softmax(const std::vector<double>& z) {
  const double most = *std::ranges::max_element(z);
  std::vector<double> p;
  for (const double value : z) p.push_back(std::exp(value - most));
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& value : p) value /= total;
  return p;
}

/// 0 .. count - 1, the highest score first, equal scores in ascending order.
std::vector<int> best_first(const std::vector<double>& score) {
  std::vector<int> order(score.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int a, int b) { return score[a] > score[b]; });
  return order;
}

/// The ids that may be sampled, the most probable first: the top_k best; of these, the fewest that
/// together reach top_p.
std::vector<int> nucleus(const std::vector<double>& scaled,
                         const SamplingParams& sampling,
                         Margin& margin) {
  std::vector<int> ids = best_first(scaled);
  const auto top_k = static_cast<std::size_t>(sampling.top_k);
  if (sampling.top_k > 0 && top_k < ids.size()) {
    margin.compared(scaled[ids[top_k - 1]], scaled[ids[top_k]]);
    ids.resize(top_k);
  }
  if (sampling.top_p == 1) return ids;
  std::vector<double> kept;
  for (const int id : ids) kept.push_back(scaled[id]);
  const std::vector<double> p = softmax(kept);
  std::size_t count = 0;
  for (double sum = 0; count < ids.size() && sum < sampling.top_p; ++count) {
    sum += p[count];
    margin.compared(sum, sampling.top_p);
  }
  ids.resize(count);
  return ids;
}

}  // namespace

Pick pick(const std::vector<double>& logits,
          const SamplingParams& sampling,
          int step,
          Position position,
          TokenId mask_id,
          Margin& margin) {
  std::vector<double> score = logits;
  if (sampling.temperature > 0) {
    for (double& z : score) z /= sampling.temperature;
    std::vector<double> noised(score.size(), -INFINITY);
    for (const int id : nucleus(score, sampling, margin))
      noised[id] = score[id] + gumbel(sampling.seed, step, position, id);
    score = noised;
  }
  const std::vector<int> order = best_first(score);
  const std::vector<int> plain_order = best_first(logits);
  margin.compared(score[order[0]], score[order[1]]);
  Pick pick;
  pick.position = position;
  pick.token = order[0];
  pick.confidence = softmax(logits)[order[0]];
  pick.best_other = plain_order[plain_order[0] == mask_id ? 1 : 0];
  if (plain_order[0] == mask_id) margin.compared(logits[plain_order[1]], logits[plain_order[2]]);
  return pick;
}

namespace {

/// Whether the i-th (0-based, i > 0) of the sorted picks is committed too, those before it being
/// so.
bool takes_next(const std::vector<Pick>& sorted,
                std::size_t i,
                const CommitParams& params,
                int quota,
                Margin& margin) {
  const auto reaches = [&](double least) {
    margin.compared_probabilities(sorted[i].confidence, least);
    return sorted[i].confidence >= least;
  };
  switch (params.rule) {
    case CommitRule::kThreshold:
      margin.compared_probabilities(sorted[0].confidence, params.threshold);
      return reaches(std::min(params.threshold, sorted[0].confidence));
    case CommitRule::kSchedule:
      margin.compared_probabilities(sorted[i - 1].confidence, sorted[i].confidence);
      return static_cast<int>(i) < quota;
    case CommitRule::kFactor:  // the n-th, n = i + 1, must reach 1 - factor / (n + 1)
      return reaches(1 - params.factor / (static_cast<double>(i) + 2));
  }
  return false;
}

}  // namespace

std::vector<Commit> choose(const std::vector<Pick>& picks,
                           const CommitParams& params,
                           int quota,
                           TokenId mask_id,
                           Margin& margin) {
  const auto more_confident = [](const Pick& a, const Pick& b) {
    return a.confidence > b.confidence;
  };
  std::vector<Pick> sorted;
  for (const Pick& pick : picks)
    if (pick.token != mask_id) sorted.push_back(pick);
  const bool only_masks = sorted.empty();
  if (only_masks) sorted = picks;
  std::ranges::stable_sort(sorted, more_confident);
  if (sorted.size() > 1) margin.compared_probabilities(sorted[0].confidence, sorted[1].confidence);
  if (only_masks) return {{sorted[0].position, sorted[0].best_other}};

  std::size_t count = 1;
  while (count < sorted.size() && takes_next(sorted, count, params, quota, margin)) ++count;
  std::vector<Commit> commits;
  for (const Pick& pick : std::span(sorted).first(count))
    commits.push_back({pick.position, pick.token});
  std::ranges::sort(commits, {}, &Commit::position);
  return commits;
}

}  // namespace rubato::testing::reference
