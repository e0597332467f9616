// Drift and attention mass from Q, K and the attention's log-sum-exp, for all layers of a pass at
// once.
#include <math.h>

#include "runtime/model/cuda/device_code.h"
#include "runtime/model/cuda/tensor_rows.h"

namespace rubato::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kLanes;
constexpr int kRows = 16;  // of a warp's tile
constexpr int kKeys = 32;

/// One head of one layer, before or after the pass wrote its rows.
template <class T>
struct HeadView {
  const T* q;  // the caches, at the layer and the head
  const T* k;
  const T* old_q;  // what the pass's rows held, likewise
  const T* old_k;
  const std::int32_t* row_of;
  std::int64_t width;

  __device__ const T* key(std::int64_t cache_row, bool old) const {
    if (old) {
      const std::int32_t row = row_of[cache_row];
      if (row >= 0) return old_k + row * width;
    }
    return k + cache_row * width;
  }
  __device__ const T* query(const SumRow& row, bool old) const {
    return old ? old_q + row.lse_row * width : q + row.cache_row * width;
  }
};

template <class T>
__device__ HeadView<T> head_view(const SumTask& task, int layer, int head) {
  const std::int64_t cache = layer * task.layer_stride + head * task.head_dim;
  const std::int64_t old = (layer - task.first_layer) * task.old_stride + head * task.head_dim;
  return {static_cast<const T*>(task.q) + cache,
          static_cast<const T*>(task.k) + cache,
          static_cast<const T*>(task.old_q) + old,
          static_cast<const T*>(task.old_k) + old,
          task.row_of,
          task.width};
}

/// A warp's scores of up to 16 rows with keys, 8 at a time, in the order of `mma`'s result. kDim 0:
/// any head size.
template <class T, int kDim>
struct Scores {
  RowFragments<kDim> fragments;

  __device__ void load(const T* row, const T* row_below, int) { fragments.load(row, row_below); }

  /// Of the keys [key, key + 8) of a sequence; those past its end repeat the last.
  template <class KeyOf>
  __device__ void operator()(int key, int num_keys, KeyOf&& key_of, float (&scores)[4]) const {
    const int mine = key + lane_group();
    fragments.dot(key_of(mine < num_keys ? mine : num_keys - 1), scores);
  }
};
template <class T>
struct Scores<T, 0> {
  PlainRows<T> rows;

  __device__ void load(const T* row, const T* row_below, int dim) { rows = {row, row_below, dim}; }

  template <class KeyOf>
  __device__ void operator()(int key, int num_keys, KeyOf&& key_of, float (&scores)[4]) const {
    const int mine = key + 2 * lane_thread();
    rows.dot(key_of(mine < num_keys ? mine : num_keys - 1),
             key_of(mine + 1 < num_keys ? mine + 1 : num_keys - 1),
             scores);
  }
};

/// The rows `begin` ... of a job's list that a lane's result holds, `count` of them valid.
struct LaneRows {
  SumRow rows[2];
  bool valid[2];

  __device__ LaneRows(const SumRow* list, int begin, int count) {
    for (int i = 0; i < 2; ++i) {
      const int index = begin + lane_group() + 8 * i;
      valid[i] = index < count;
      rows[i] = list[valid[i] ? index : count - 1];
    }
  }
};

__device__ __forceinline__ const float* lse_of(const SumTask& task, int layer, const SumRow& row) {
  const std::int64_t index = layer + 1 == task.model_layers ? row.last_lse_row : row.lse_row;
  return task.lse + layer * task.lse_stride + index * task.heads;
}
__device__ __forceinline__ float* old_lse_of(const SumTask& task, int layer, int tracked) {
  return task.old_lse + (std::int64_t{layer} * task.num_tracked_all + tracked) * task.heads;
}

/// The log-sum-exp of the tracked rows' attention before the pass wrote. A block: a head, 16 rows,
/// a layer; warps share the keys.
template <class T, int kDim>
__global__ void __launch_bounds__(kThreads) old_lse_kernel(SumTask task, int tiles) {
  const int head = static_cast<int>(blockIdx.x),
            layer = task.first_layer + static_cast<int>(blockIdx.z);
  const SumJob job = task.jobs[blockIdx.y / tiles];
  const int begin = kRows * static_cast<int>(blockIdx.y % tiles);
  if (begin >= job.num_tracked) return;
  const HeadView<T> view = head_view<T>(task, layer, head);
  const LaneRows lane(task.rows + job.tracked_begin, begin, job.num_tracked);
  Scores<T, kDim> score;
  score.load(view.query(lane.rows[0], true), view.query(lane.rows[1], true), task.head_dim);
  const float scale = 1.0f / sqrtf(static_cast<float>(task.head_dim));
  const auto key_of = [&](int key) { return view.key(job.slot_begin + key, true); };
  float most[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};
  const int warp = static_cast<int>(threadIdx.x) / kLanes;
  for (int key = 8 * warp; key < job.num_keys; key += 8 * kWarps) {
    float scores[4];
    score(key, job.num_keys, key_of, scores);
    for (int i = 0; i < 4; ++i) {
      if (key + 2 * lane_thread() + i % 2 >= job.num_keys) continue;
      const float z = scores[i] * scale, larger = fmaxf(most[i / 2], z);
      sum[i / 2] = sum[i / 2] * expf(most[i / 2] - larger) + expf(z - larger);
      most[i / 2] = larger;
    }
  }
  // [warp, lane of four][row]: their parts are put together in order.
  __shared__ float mosts[kWarps * 4][kRows], sums[kWarps * 4][kRows];
  for (int i = 0; i < 2; ++i) {
    mosts[4 * warp + lane_thread()][lane_group() + 8 * i] = most[i];
    sums[4 * warp + lane_thread()][lane_group() + 8 * i] = sum[i];
  }
  __syncthreads();
  const int row = static_cast<int>(threadIdx.x);
  if (row >= kRows || begin + row >= job.num_tracked) return;
  float whole = -INFINITY, total = 0;
  for (int part = 0; part < kWarps * 4; ++part) whole = fmaxf(whole, mosts[part][row]);
  for (int part = 0; part < kWarps * 4; ++part) {
    if (sums[part][row] > 0) total += sums[part][row] * expf(mosts[part][row] - whole);
  }
  old_lse_of(task, layer, job.tracked_lse + begin + row)[head] = whole + logf(total);
}

/// Probabilities of a lane's rows for 8 keys; 0 past the last key and for rows that are not there.
template <class Score, class KeyOf>
__device__ __forceinline__ void probabilities(const Score& score,
                                              const SumJob& job,
                                              int key,
                                              KeyOf&& key_of,
                                              float scale,
                                              const float (&lse)[2],
                                              const bool (&valid)[2],
                                              float (&p)[4]) {
  score(key, job.num_keys, key_of, p);
  for (int i = 0; i < 4; ++i) {
    const bool there = valid[i / 2] && key + 2 * lane_thread() + i % 2 < job.num_keys;
    p[i] = there ? expf(p[i] * scale - lse[i / 2]) : 0.0f;
  }
}

/// Attention mass: a block 32 keys of a job's layer; warps share the heads.
template <class T, int kDim>
__global__ void __launch_bounds__(kThreads) mass_kernel(SumTask task) {
  const int layer = task.first_layer + static_cast<int>(blockIdx.z);
  const SumJob job = task.jobs[blockIdx.y];
  const int first = kKeys * static_cast<int>(blockIdx.x),
            warp = static_cast<int>(threadIdx.x) / kLanes;
  if (job.num_window == 0 || layer < job.first_layer || first >= job.num_keys) return;
  const float scale = 1.0f / sqrtf(static_cast<float>(task.head_dim));
  float mass[kKeys / 8][2] = {};  // of keys 2t, 2t + 1, this lane's rows
  for (int head = warp; head < task.heads; head += kWarps) {
    const HeadView<T> view = head_view<T>(task, layer, head);
    const auto key_of = [&](int key) { return view.key(job.slot_begin + key, false); };
    for (int begin = 0; begin < job.num_window; begin += kRows) {
      const LaneRows lane(task.rows + job.window_begin, begin, job.num_window);
      Scores<T, kDim> score;
      score.load(view.query(lane.rows[0], false), view.query(lane.rows[1], false), task.head_dim);
      const float lse[2] = {lse_of(task, layer, lane.rows[0])[head],
                            lse_of(task, layer, lane.rows[1])[head]};
      for (int tile = 0; tile < kKeys / 8; ++tile) {
        float p[4];
        probabilities(score, job, first + 8 * tile, key_of, scale, lse, lane.valid, p);
        mass[tile][0] += p[0] + p[2];
        mass[tile][1] += p[1] + p[3];
      }
    }
  }
  __shared__ float shared[kWarps][kKeys];
  for (int tile = 0; tile < kKeys / 8; ++tile) {
    for (int i = 0; i < 2; ++i) {
      float x = mass[tile][i];
      for (int lanes = 4; lanes < kLanes; lanes *= 2) x += __shfl_xor_sync(kAllLanes, x, lanes);
      if (lane_group() == 0) shared[warp][8 * tile + 2 * lane_thread() + i] = x;
    }
  }
  __syncthreads();
  const int key = static_cast<int>(threadIdx.x);
  if (key >= kKeys || first + key >= job.num_keys) return;
  float total = 0;
  for (int other = 0; other < kWarps; ++other) total += shared[other][key];
  task.sums[job.mass + std::int64_t{layer} * job.num_keys + first + key] = total;
}

/// The `heads` drift sums: a block 32 keys and 16 tracked rows of a job's layer; warps share the
/// heads.
template <class T, int kDim>
__global__ void __launch_bounds__(kThreads) drift_kernel(SumTask task, int tiles) {
  const int layer = task.first_layer + static_cast<int>(blockIdx.z);
  const SumJob job = task.jobs[blockIdx.y / tiles];
  const int begin = kRows * static_cast<int>(blockIdx.y % tiles);
  const int first = kKeys * static_cast<int>(blockIdx.x),
            warp = static_cast<int>(threadIdx.x) / kLanes;
  if (begin >= job.num_tracked || job.rows_measure != 0 || first >= job.num_keys) return;
  const LaneRows lane(task.rows + job.tracked_begin, begin, job.num_tracked);
  const float scale = 1.0f / sqrtf(static_cast<float>(task.head_dim));
  float sums[3][kKeys / 8][4] = {};  // old new, old², new²
  for (int head = warp; head < task.heads; head += kWarps) {
    const HeadView<T> view = head_view<T>(task, layer, head);
    Scores<T, kDim> before, after;
    before.load(view.query(lane.rows[0], true), view.query(lane.rows[1], true), task.head_dim);
    after.load(view.query(lane.rows[0], false), view.query(lane.rows[1], false), task.head_dim);
    float old_lse[2], lse[2];
    for (int i = 0; i < 2; ++i) {
      int tracked = begin + lane_group() + 8 * i;
      if (tracked >= job.num_tracked) tracked = job.num_tracked - 1;
      old_lse[i] = old_lse_of(task, layer, job.tracked_lse + tracked)[head];
      lse[i] = lse_of(task, layer, lane.rows[i])[head];
    }
    const auto old_key = [&](int key) { return view.key(job.slot_begin + key, true); };
    const auto new_key = [&](int key) { return view.key(job.slot_begin + key, false); };
    for (int tile = 0; tile < kKeys / 8; ++tile) {
      float p[4], q[4];
      probabilities(before, job, first + 8 * tile, old_key, scale, old_lse, lane.valid, p);
      probabilities(after, job, first + 8 * tile, new_key, scale, lse, lane.valid, q);
      for (int i = 0; i < 4; ++i) {
        sums[0][tile][i] += p[i] * q[i];
        sums[1][tile][i] += p[i] * p[i];
        sums[2][tile][i] += q[i] * q[i];
      }
    }
  }
  __shared__ float shared[kWarps][kRows][kKeys];
  float* out = task.sums + job.drift + layer * job.drift_size;
#pragma unroll
  for (int which = 0; which < 3; ++which) {
    __syncthreads();
    for (int tile = 0; tile < kKeys / 8; ++tile) {
      for (int i = 0; i < 4; ++i)
        shared[warp][lane_group() + 8 * (i / 2)][8 * tile + 2 * lane_thread() + i % 2] =
            sums[which][tile][i];
    }
    __syncthreads();
    for (int at = static_cast<int>(threadIdx.x); at < kRows * kKeys; at += kThreads) {
      const int row = begin + at / kKeys, key = first + at % kKeys;
      if (row >= job.num_tracked || key >= job.num_keys) continue;
      float total = 0;
      for (int other = 0; other < kWarps; ++other) total += shared[other][at / kKeys][at % kKeys];
      out[(std::int64_t{which} * job.num_tracked + row) * job.num_keys + key] = total;
    }
  }
}

/// The `rows` drift measure: a block a head of a job's layer, which sums its tracked rows' cosines;
/// warps share the keys.
template <class T, int kDim>
__global__ void __launch_bounds__(kThreads) drift_rows_kernel(SumTask task) {
  const int layer = task.first_layer + static_cast<int>(blockIdx.z),
            head = static_cast<int>(blockIdx.x);
  const SumJob job = task.jobs[blockIdx.y];
  if (job.num_tracked == 0 || job.rows_measure == 0) return;
  const int warp = static_cast<int>(threadIdx.x) / kLanes;
  const float scale = 1.0f / sqrtf(static_cast<float>(task.head_dim));
  const HeadView<T> view = head_view<T>(task, layer, head);
  const auto old_key = [&](int key) { return view.key(job.slot_begin + key, true); };
  const auto new_key = [&](int key) { return view.key(job.slot_begin + key, false); };
  __shared__ float shared[3][kWarps][kRows];
  float cosines = 0;  // of row threadIdx.x of each tile
  for (int begin = 0; begin < job.num_tracked; begin += kRows) {
    const LaneRows lane(task.rows + job.tracked_begin, begin, job.num_tracked);
    Scores<T, kDim> before, after;
    before.load(view.query(lane.rows[0], true), view.query(lane.rows[1], true), task.head_dim);
    after.load(view.query(lane.rows[0], false), view.query(lane.rows[1], false), task.head_dim);
    float old_lse[2], lse[2], sums[3][2] = {};
    for (int i = 0; i < 2; ++i) {
      int tracked = begin + lane_group() + 8 * i;
      if (tracked >= job.num_tracked) tracked = job.num_tracked - 1;
      old_lse[i] = old_lse_of(task, layer, job.tracked_lse + tracked)[head];
      lse[i] = lse_of(task, layer, lane.rows[i])[head];
    }
    for (int key = 8 * warp; key < job.num_keys; key += 8 * kWarps) {
      float p[4], q[4];
      probabilities(before, job, key, old_key, scale, old_lse, lane.valid, p);
      probabilities(after, job, key, new_key, scale, lse, lane.valid, q);
      for (int i = 0; i < 4; ++i) {
        sums[0][i / 2] += p[i] * q[i];
        sums[1][i / 2] += p[i] * p[i];
        sums[2][i / 2] += q[i] * q[i];
      }
    }
    __syncthreads();
    for (int which = 0; which < 3; ++which) {
      for (int i = 0; i < 2; ++i) {
        float x = sums[which][i];
        x += __shfl_xor_sync(kAllLanes, x, 1);
        x += __shfl_xor_sync(kAllLanes, x, 2);
        if (lane_thread() == 0) shared[which][warp][lane_group() + 8 * i] = x;
      }
    }
    __syncthreads();
    const int row = static_cast<int>(threadIdx.x);
    if (row < kRows && begin + row < job.num_tracked) {
      double total[3] = {};
      for (int which = 0; which < 3; ++which) {
        for (int other = 0; other < kWarps; ++other) total[which] += shared[which][other][row];
      }
      cosines += static_cast<float>(total[0] / sqrt(fmax(total[1], 1e-16) * fmax(total[2], 1e-16)));
    }
  }
  if (warp != 0) return;
  cosines = warp_sum(cosines);
  if (threadIdx.x == 0) task.sums[job.drift + layer * job.drift_size + head] = cosines;
}

__global__ void __launch_bounds__(kThreads) similarity_kernel(SimilarityTask task) {
  const SumJob job = task.jobs[blockIdx.y];
  const int layer = static_cast<int>(blockIdx.x);
  const float* sums = task.sums + job.drift + layer * job.drift_size;
  double total = 0;
  const std::int64_t pairs = job.rows_measure != 0 ? job.drift_size : job.drift_size / 3;
  for (std::int64_t i = threadIdx.x; i < pairs; i += kThreads) {
    if (job.rows_measure != 0) {
      total += sums[i];
    } else {
      const double before = sums[pairs + i], after = sums[2 * pairs + i];
      total += sums[i] / sqrt(fmax(before, 1e-16) * fmax(after, 1e-16));
    }
  }
  __shared__ double shared[kWarps];
  total = block_sum<kWarps>(total, shared);
  if (threadIdx.x != 0) return;
  const double count = job.rows_measure != 0 ? static_cast<double>(task.num_heads) * job.num_tracked
                                             : static_cast<double>(pairs);
  task.similarity[std::int64_t{blockIdx.y} * task.num_layers + layer] =
      job.num_tracked == 0 ? 0.0 : total / count;
}

template <class T, int kDim>
void launch_sums(const SumTask& task, Stream stream) {
  const auto layers = static_cast<unsigned>(task.num_layers),
             jobs = static_cast<unsigned>(task.num_jobs);
  const auto heads = static_cast<unsigned>(task.heads);
  const unsigned tiles = blocks_for(task.most_tracked, kRows),
                 keys = blocks_for(task.most_keys, kKeys);
  if (task.any_heads || task.any_rows) {
    RUBATO_LAUNCH((old_lse_kernel<T, kDim>),
                  (dim3{heads, jobs * tiles, layers}),
                  dim3{kThreads},
                  stream,
                  task,
                  static_cast<int>(tiles));
  }
  if (task.any_heads) {
    RUBATO_LAUNCH((drift_kernel<T, kDim>),
                  (dim3{keys, jobs * tiles, layers}),
                  dim3{kThreads},
                  stream,
                  task,
                  static_cast<int>(tiles));
  }
  if (task.any_rows) {
    RUBATO_LAUNCH(
        (drift_rows_kernel<T, kDim>), (dim3{heads, jobs, layers}), dim3{kThreads}, stream, task);
  }
  if (task.any_mass) {
    RUBATO_LAUNCH((mass_kernel<T, kDim>), (dim3{keys, jobs, layers}), dim3{kThreads}, stream, task);
  }
}

}  // namespace

void sum_attention(const SumTask& task, Element element, Stream stream) {
  if (task.num_jobs == 0 || task.num_layers == 0) return;
  if (element == Element::kBFloat16 && task.head_dim == 128) {
    launch_sums<Bf16, 128>(task, stream);
  } else if (element == Element::kBFloat16 && task.head_dim == 64) {
    launch_sums<Bf16, 64>(task, stream);
  } else if (element == Element::kBFloat16) {
    launch_sums<Bf16, 0>(task, stream);
  } else {
    launch_sums<float, 0>(task, stream);
  }
  check_launch("sum_attention");
}

void similarity(const SimilarityTask& task, Stream stream) {
  if (task.num_jobs == 0) return;
  const dim3 grid{static_cast<unsigned>(task.num_layers), static_cast<unsigned>(task.num_jobs)};
  RUBATO_LAUNCH(similarity_kernel, grid, dim3{kThreads}, stream, task);
  check_launch("similarity");
}

}  // namespace rubato::cuda
