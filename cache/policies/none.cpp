#include "cache/policies/common.h"
#include "cache/policies/policies.h"

namespace rubato {
namespace {

Refresh refresh(const PolicyParams&, const SequenceView&) {
  return Refresh::kFull;
}

StepQuery query(const PolicyParams&, const SequenceView& sequence) {
  return detail::full_forward(detail::masked_in_block(sequence));
}

}  // namespace

/// No cache: every step is a full forward (LLaDA's own sampler).
const Policy kNonePolicy = {.name = "none",
                            .summary = "no cache: a full forward every step, block by block",
                            .by_block = true,
                            .query = query,
                            .refresh = refresh};

}  // namespace rubato
