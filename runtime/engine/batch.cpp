#include "runtime/engine/batch.h"

#include "runtime/base/concat.h"

namespace rubato {
namespace {

Error unknown(SequenceId id, const char* where) {
  return {Code::kInternal,
          concat("the plan's ", where, " name sequence ", id, ", which this rank does not have")};
}

}  // namespace

Status Batch::apply(const StepPlan& plan) {
  for (const SequenceUpdate& one : plan.updates) {
    if (Status status = update(one); !status) return status;
  }
  for (const SequenceId id : plan.releases) {
    if (Status status = release(id); !status) return status;
  }
  for (const SequenceSpec& spec : plan.admissions) {
    if (find(spec.id) != nullptr)
      return Error{Code::kInternal, concat("the plan admits sequence ", spec.id, " again")};
    admit(spec);
  }
  if (Status status = select(plan.participants); !status) return status;
  if (plan.digest == digest()) return {};
  return Error{Code::kInternal,
               concat("this rank's sequences differ from the coordinator's: digest ",
                      digest(),
                      ", expected ",
                      plan.digest)};
}

Status Batch::update(const SequenceUpdate& update) {
  const auto found = sequences_.find(update.id);
  if (found == sequences_.end()) return unknown(update.id, "updates");
  if (!found->second->accepts(update)) {
    return Error{Code::kInternal,
                 concat("the plan's update of sequence ",
                        update.id,
                        " does not fit its state on this rank, in step ",
                        found->second->step())};
  }
  found->second->apply(update);
  return {};
}

Status Batch::release(SequenceId id) {
  if (sequences_.erase(id) == 0) return unknown(id, "releases");
  return {};
}

void Batch::admit(const SequenceSpec& spec) {
  sequences_[spec.id] = std::make_unique<Sequence>(spec, tokens_);
}

Status Batch::select(std::span<const SequenceId> participants) {
  participants_.clear();
  for (const SequenceId id : participants) {
    const Sequence* sequence = find(id);
    if (sequence == nullptr) return unknown(id, "participants");
    participants_.push_back(sequence);
  }
  return {};
}

const Sequence* Batch::find(SequenceId id) const {
  const auto found = sequences_.find(id);
  return found == sequences_.end() ? nullptr : found->second.get();
}

std::uint64_t Batch::digest() const {
  std::uint64_t sum = 1;
  for (const auto& [id, sequence] : sequences_) sum = sum * 31 + sequence->digest();
  return sum;
}

}  // namespace rubato
