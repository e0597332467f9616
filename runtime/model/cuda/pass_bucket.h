#pragma once

#include <compare>
#include <optional>

#include "runtime/model/cuda/pass_lists.h"
#include "runtime/model/cuda/sum_lists.h"

namespace rubato::cuda {

/// The sizes of a reuse pass that kernels take from the host, rounded up, so that few different
/// ones exist and a graph of one pass serves the next. A pure function of the step: the same on all
/// ranks.
struct PassBucket {
  int rows = 0;     ///< of the pass, and of its eligible ones
  int tiles = 0;    ///< of its attention
  int splits = 1;   ///< most of a tile
  int jobs = 0;     ///< of its sums
  int keys = 0;     ///< most of a job
  int tracked = 0;  ///< most of a job
  bool any_mass = false, any_heads = false, any_rows = false;

  auto operator<=>(const PassBucket&) const = default;
};

/// The rows of the largest bucket.
inline constexpr int kMostBucketRows = 512;

/// The bucket of a reuse pass. None for one of so many rows that its launches cost next to nothing,
/// and for one without rows.
std::optional<PassBucket> bucket_of(const PassLists& pass, const SumLists& sums);

/// Fills the lists of such a pass up to its bucket, with rows and eligible rows that stand nowhere
/// (-1), tiles of no query and jobs of no row, all of which kernels skip.
void fill_up(const PassBucket& bucket, PassLists& pass, SumLists& sums);

}  // namespace rubato::cuda
