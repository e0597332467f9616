#include "runtime/engine/step_budget.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace rubato {

std::vector<SequenceId> choose_participants(std::span<const StepCandidate> candidates,
                                            std::int64_t max_full_rows) {
  std::vector<std::size_t> by_wait(candidates.size());
  std::iota(by_wait.begin(), by_wait.end(), std::size_t{0});
  std::ranges::stable_sort(
      by_wait, std::greater<>(), [&](std::size_t i) { return candidates[i].waited; });
  std::vector<bool> taken(candidates.size(), false);
  std::int64_t rows = 0;
  for (const std::size_t i : by_wait) {
    const std::int64_t more = candidates[i].full_rows;
    if (more > 0 && rows > 0 && rows + more > max_full_rows) continue;
    taken[i] = true;
    rows += more;
  }
  std::vector<SequenceId> participants;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (taken[i]) participants.push_back(candidates[i].id);
  }
  return participants;
}

}  // namespace rubato
