// The highest logits of some rows: for requests that want log-probabilities.
#include "runtime/model/cuda/best_score.h"

namespace rubato::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kLanes;
constexpr int kChunk = 4096;  // ids of a block: they stay in its cache while it looks again

/// Whether an entry comes after `last` in the order of what is taken. What is no number never does.
__device__ __forceinline__ bool comes_after(const Best<float>& entry, const Best<float>& last) {
  if (entry.id < 0 || entry.score != entry.score) return false;
  return last.id < 0 || entry.score < last.score ||
         (entry.score == last.score && entry.id > last.id);
}

/// Calls take(n, best) for the `count` best of entry(0) ... entry(size - 1) in order, on one
/// thread; ids of -1 where there are fewer. Each thread knows the best of its own entries that is
/// left, so that only the one whose entry was taken looks again.
template <class Entry, class Take>
__device__ void take_best(int size, int count, const Entry& entry, const Take& take) {
  __shared__ Best<float> shared[kWarps];
  const auto mine_after = [&](const Best<float>& last) {
    Best<float> mine{0, -1};
    for (int i = static_cast<int>(threadIdx.x); i < size; i += kThreads) {
      const Best<float> one = entry(i);
      if (comes_after(one, last)) mine.take(one.score, one.id);
    }
    return mine;
  };
  Best<float> mine = mine_after(Best<float>{0, -1});
  for (int n = 0; n < count; ++n) {
    const Best<float> best = block_best<kWarps>(mine, shared);
    if (threadIdx.x == 0) take(n, best);
    if (best.id >= 0 && best.id == mine.id) mine = mine_after(best);
  }
}

__device__ __forceinline__ void write_pair(double* pairs, int n, int id, double logit) {
  pairs[2 * n] = id;
  pairs[2 * n + 1] = id < 0 ? 0 : logit;
}

/// A block: one chunk of one row's ids.
__global__ void __launch_bounds__(kThreads) top_of_chunk(TopLogits task) {
  const TopRow row = task.rows[blockIdx.y];
  const int first = kChunk * static_cast<int>(blockIdx.x);
  const int size = task.width - first < kChunk ? task.width - first : kChunk;
  const float* logits = task.logits + std::int64_t{row.row} * task.width;
  double* out = task.scratch + (std::int64_t{blockIdx.y} * gridDim.x + blockIdx.x) * 2 * task.most;
  take_best(
      size,
      row.count,
      [&](int i) {
        return Best<float>{logits[first + i], first + i};
      },
      [&](int n, const Best<float>& best) { write_pair(out, n, best.id, best.score); });
}

/// Puts the chunks of a row together; a block a row.
__global__ void __launch_bounds__(kThreads) top_of_row(TopLogits task, int chunks) {
  const TopRow row = task.rows[blockIdx.x];
  const double* found = task.scratch + std::int64_t{blockIdx.x} * chunks * 2 * task.most;
  take_best(
      chunks * row.count,
      row.count,
      [&](int i) {
        const double* pair =
            found + std::int64_t{i / row.count} * 2 * task.most + 2 * (i % row.count);
        return Best<float>{static_cast<float>(pair[1]), static_cast<int>(pair[0])};
      },
      [&](int n, const Best<float>& best) {
        const int id = best.id < 0 ? -1 : task.first_id + best.id;
        write_pair(task.pairs + row.begin, n, id, best.score);
      });
}

}  // namespace

std::int64_t top_scratch_size(int num_rows, int most, int width) {
  return std::int64_t{2} * num_rows * most * blocks_for(width, kChunk);
}

void find_top_logits(const TopLogits& task, Stream stream) {
  if (task.num_rows == 0) return;
  const unsigned chunks = blocks_for(task.width, kChunk);
  const auto rows = static_cast<unsigned>(task.num_rows);
  RUBATO_LAUNCH(top_of_chunk, (dim3{chunks, rows}), dim3{kThreads}, stream, task);
  RUBATO_LAUNCH(top_of_row, dim3{rows}, dim3{kThreads}, stream, task, static_cast<int>(chunks));
  check_launch("find_top_logits");
}

}  // namespace rubato::cuda
