#include "runtime/decoding/commit_rule.h"

#include <algorithm>

namespace rubato {
namespace {

std::size_t threshold_count(std::span<const Candidate> sorted, double threshold) {
  const double least = std::min(threshold, sorted.front().confidence);
  const auto end =
      std::ranges::find_if(sorted, [least](const Candidate& c) { return c.confidence < least; });
  return std::max<std::size_t>(end - sorted.begin(), 1);
}

std::size_t factor_count(std::span<const Candidate> sorted, double factor) {
  std::size_t n = 0;
  while (n < sorted.size() && sorted[n].confidence >= 1 - factor / (static_cast<double>(n) + 2))
    ++n;
  return std::max<std::size_t>(n, 1);
}

std::size_t commit_count(std::span<const Candidate> sorted, const CommitParams& params, int quota) {
  switch (params.rule) {
    case CommitRule::kThreshold:
      return threshold_count(sorted, params.threshold);
    case CommitRule::kSchedule:
      return std::min<std::size_t>(quota, sorted.size());
    case CommitRule::kFactor:
      return factor_count(sorted, params.factor);
  }
  return 1;
}

}  // namespace

int schedule_quota(int masks, int steps, int step_in_block) {
  const int extra = step_in_block < masks % steps ? 1 : 0;
  return std::max(1, masks / steps + extra);
}

std::vector<Commit> choose_commits(std::span<const Candidate> candidates,
                                   const CommitParams& params,
                                   int quota,
                                   TokenId mask_id) {
  if (candidates.empty()) return {};
  const auto more_confident = [](const Candidate& a, const Candidate& b) {
    return a.confidence > b.confidence;
  };
  std::vector<Candidate> sorted;
  std::ranges::copy_if(candidates, std::back_inserter(sorted), [&](const Candidate& c) {
    return c.token != mask_id;
  });
  if (sorted.empty()) {
    const Candidate& best = *std::ranges::min_element(candidates, more_confident);
    return {{best.position, best.best_unmasked}};
  }
  std::ranges::stable_sort(sorted,
                           more_confident);  // stable: equal confidences stay in order of position
  std::vector<Commit> commits;
  for (const Candidate& c : std::span(sorted).first(commit_count(sorted, params, quota))) {
    commits.push_back({c.position, c.token});
  }
  std::ranges::sort(commits, {}, &Commit::position);
  return commits;
}

std::vector<CommitLogprobs> logprobs_of(std::span<const Commit> commits,
                                        std::span<const Candidate> candidates) {
  std::vector<CommitLogprobs> logprobs;
  auto candidate = candidates.begin();
  for (const Commit& commit : commits) {
    while (candidate->position != commit.position) ++candidate;
    const bool picked = commit.token == candidate->token;
    logprobs.push_back(
        {picked ? candidate->logprob : candidate->best_unmasked_logprob, candidate->top});
  }
  return logprobs;
}

}  // namespace rubato
