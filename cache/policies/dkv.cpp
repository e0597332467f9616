#include "cache/policies/common.h"
#include "cache/policies/policies.h"

namespace rubato {
namespace {

Refresh refresh(const PolicyParams& params, const SequenceView& sequence) {
  return sequence.step % params.refresh_every == 0 ? Refresh::kFull : Refresh::kNone;
}

StepQuery query(const PolicyParams& params, const SequenceView& sequence) {
  std::vector<Position> eligible = detail::masked_in_block(sequence);
  if (refresh(params, sequence) == Refresh::kFull) return detail::full_forward(std::move(eligible));
  StepQuery query;
  query.refresh = Refresh::kNone;
  query.rows.assign(sequence.committed_last.begin(), sequence.committed_last.end());
  query.rows.insert(query.rows.end(), sequence.masked.begin(), sequence.masked.end());
  query.eligible = std::move(eligible);
  return query;
}

}  // namespace

/// dKV-Cache-Decode (arXiv 2505.15781): a token is cached one step after it was committed, when its
/// state has settled; masks are never cached.
const Policy kDkvPolicy = {
    .name = "dkv",
    .summary = "dKV-Cache-Decode: recomputes all masks and what was just committed",
    .by_block = true,
    .query = query,
    .refresh = refresh};

}  // namespace rubato
