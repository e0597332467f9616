#include "runtime/engine/scheduler.h"

#include <algorithm>

namespace rubato {

std::vector<SequenceSpec> Scheduler::admit() {
  std::vector<SequenceSpec> admitted;
  while (!waiting_.empty() && static_cast<int>(running_.size()) < limits_.max_sequences) {
    const auto begin = slots_.allocate(waiting_.front().canvas_length());
    if (!begin) break;
    SequenceSpec& spec = admitted.emplace_back(std::move(waiting_.front()));
    waiting_.pop_front();
    spec.slot_begin = *begin;
    running_.push_back(spec.id);
    slot_begins_.push_back(*begin);
  }
  return admitted;
}

std::int64_t Scheduler::waiting_prompt_tokens() const {
  std::int64_t tokens = 0;
  for (const SequenceSpec& spec : waiting_) tokens += spec.given_tokens();
  return tokens;
}

bool Scheduler::remove(SequenceId id) {
  if (const auto found = std::ranges::find(running_, id); found != running_.end()) {
    const auto index = found - running_.begin();
    slots_.release(slot_begins_[index]);
    running_.erase(found);
    slot_begins_.erase(slot_begins_.begin() + index);
    return true;
  }
  std::erase_if(waiting_, [id](const SequenceSpec& spec) { return spec.id == id; });
  return false;
}

}  // namespace rubato
