#include "runtime/model/eligible_part.h"

#include <algorithm>
#include <iterator>

namespace rubato {

int num_eligible(std::span<const StepSequence> sequences) {
  std::size_t count = 0;
  for (const StepSequence& sequence : sequences) count += sequence.query.eligible.size();
  return static_cast<int>(count);
}

std::vector<StepSequence> eligible_part(std::span<const StepSequence> sequences,
                                        int first,
                                        int end) {
  std::vector<StepSequence> part(sequences.begin(), sequences.end());
  int begin = 0;  // the sequence's first among all
  for (StepSequence& sequence : part) {
    std::vector<Position>& eligible = sequence.query.eligible;
    const auto size = static_cast<int>(eligible.size());
    const int from = std::clamp(first - begin, 0, size), to = std::clamp(end - begin, 0, size);
    eligible.erase(eligible.begin() + to, eligible.end());
    eligible.erase(eligible.begin(), eligible.begin() + from);
    begin += size;
  }
  return part;
}

std::vector<std::vector<Candidate>> candidates_by_part(
    std::span<const StepSequence> sequences,
    int at_a_time,
    const std::function<std::vector<std::vector<Candidate>>(std::span<const StepSequence> part,
                                                            int first)>& of_part) {
  const int rows = num_eligible(sequences);
  if (rows <= at_a_time) return of_part(sequences, 0);
  std::vector<std::vector<Candidate>> all(sequences.size());
  for (int first = 0; first < rows; first += at_a_time) {
    auto found = of_part(eligible_part(sequences, first, first + at_a_time), first);
    for (std::size_t i = 0; i < found.size(); ++i)
      std::ranges::move(found[i], std::back_inserter(all[i]));
  }
  return all;
}

}  // namespace rubato
