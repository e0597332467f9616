#include "runtime/engine/step_budget.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace rubato {

std::vector<SequenceId> choose_participants(std::span<const StepCandidate> candidates,
                                            const StepBudget& budget) {
  std::vector<std::size_t> by_wait(candidates.size());
  std::iota(by_wait.begin(), by_wait.end(), std::size_t{0});
  std::ranges::stable_sort(
      by_wait, std::greater<>(), [&](std::size_t i) { return candidates[i].waited; });
  std::vector<bool> taken(candidates.size(), false);
  StepBudget used;
  const auto fits = [](std::int64_t more, std::int64_t so_far, std::int64_t most) {
    return more == 0 || so_far == 0 || so_far + more <= most;
  };
  for (const std::size_t i : by_wait) {
    const StepCandidate& candidate = candidates[i];
    if (!fits(candidate.full_rows, used.full_rows, budget.full_rows)) continue;
    if (!fits(candidate.drift_bytes, used.drift_bytes, budget.drift_bytes)) continue;
    taken[i] = true;
    used.full_rows += candidate.full_rows;
    used.drift_bytes += candidate.drift_bytes;
  }
  std::vector<SequenceId> participants;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (taken[i]) participants.push_back(candidates[i].id);
  }
  return participants;
}

}  // namespace rubato
