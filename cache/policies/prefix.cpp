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
  return detail::range_reuse(sequence.block_begin, sequence.canvas_length, std::move(eligible));
}

}  // namespace

/// Fast-dLLM's prefix cache (arXiv 2505.22618): what lies before the current block is cached for
/// the block's duration.
const Policy kPrefixPolicy = {
    .name = "prefix",
    .summary = "Fast-dLLM's prefix cache: recomputes from the current block to the end",
    .by_block = true,
    .query = query,
    .refresh = refresh};

}  // namespace rubato
