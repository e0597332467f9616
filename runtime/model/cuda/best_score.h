#pragma once

// The best of what a block's threads have looked at. Included by .cu files only.

#include "runtime/model/cuda/device_code.h"

namespace rubato::cuda {

/// The best score, ties to the lowest id; -1: none yet.
template <class Score>
struct Best {
  Score score;
  int id;

  __device__ void take(Score other, int other_id) {
    if (other_id < 0) return;
    if (id < 0 || other > score || (other == score && other_id < id)) {
      score = other;
      id = other_id;
    }
  }
};

/// The best of a warp, to all its lanes. To be called by all.
template <class Score>
__device__ Best<Score> warp_best(Best<Score> best) {
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    const Score score = __shfl_xor_sync(kAllLanes, best.score, lanes);
    const int id = __shfl_xor_sync(kAllLanes, best.id, lanes);
    best.take(score, id);
  }
  return best;
}

/// The best of a block of kWarps warps, to all its threads. To be called by all.
template <int kWarps, class Score>
__device__ Best<Score> block_best(Best<Score> best, Best<Score>* shared) {
  best = warp_best(best);
  __syncthreads();
  if (threadIdx.x % kLanes == 0) shared[threadIdx.x / kLanes] = best;
  __syncthreads();
  for (int warp = 0; warp < kWarps; ++warp) best.take(shared[warp].score, shared[warp].id);
  return best;
}

}  // namespace rubato::cuda
