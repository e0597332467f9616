#include "cache/policies/common.h"
#include "cache/policies/policies.h"

namespace rubato {
namespace {

Refresh refresh(const PolicyParams&, const SequenceView& sequence) {
  return sequence.step_in_block == 0 ? Refresh::kFull : Refresh::kNone;
}

StepQuery query(const PolicyParams& params, const SequenceView& sequence) {
  std::vector<Position> eligible = detail::masked_in_block(sequence);
  if (refresh(params, sequence) == Refresh::kFull) return detail::full_forward(std::move(eligible));
  return detail::range_reuse(sequence.block_begin, sequence.block_end, std::move(eligible));
}

}  // namespace

/// Fast-dLLM's dual cache (arXiv 2505.22618): all but the current block is cached for the block's
/// duration.
const Policy kDualPolicy = {.name = "dual",
                            .summary = "Fast-dLLM's dual cache: recomputes the current block only",
                            .by_block = true,
                            .query = query,
                            .refresh = refresh};

}  // namespace rubato
