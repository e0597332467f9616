// Drift and attention mass from Q, K and the attention's log-sum-exp, for all layers of a pass at
// once.
#include <math.h>

#include "runtime/model/cuda/device_code.h"
#include "runtime/model/cuda/tensor_rows.h"

namespace rubato::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kLanes;
constexpr int kRows = 16;          // that a warp multiplies with its keys at a time
constexpr int kTiles = 2;          // of 8 keys, as `mma` takes them
constexpr int kKeys = 8 * kTiles;  // of a warp
constexpr float kLeast = -1e30f;   // below any score

/// The rows `begin` ... of a job's list of `count` that are a lane's among 16. Past the end: the
/// last.
struct LaneRows {
  int index[2];  // in the list
  SumRow rows[2];
  bool valid[2];

  __device__ LaneRows(const SumRow* list, int begin, int count) {
    for (int i = 0; i < 2; ++i) {
      index[i] = begin + lane_group() + 8 * i;
      valid[i] = index[i] < count;
      if (!valid[i]) index[i] = count - 1;
      rows[i] = list[index[i]];
    }
  }
};

/// A lane's two of 16 queries of a head, and the log-sum-exp of their attention. That of rows past
/// the end is infinite: their probabilities are 0.
template <class T>
struct Queries {
  const T* row[2];
  float lse[2];
};

/// One head of one layer, before the pass wrote its rows and after.
template <class T>
class HeadView {
 public:
  __device__ HeadView(const SumTask& task, int layer, int head)
      : task_(task),
        layer_(layer),
        head_(head),
        cache_(layer * task.layer_stride + head * task.head_dim),
        old_((layer - task.first_layer) * task.old_stride + head * task.head_dim) {}

  __device__ const T* key(int cache_row) const {
    return static_cast<const T*>(task_.k) + cache_ + cache_row * task_.width;
  }
  /// What a row of the pass overwrote.
  __device__ const T* old_key(int pass_row) const {
    return static_cast<const T*>(task_.old_k) + old_ + pass_row * task_.width;
  }
  __device__ const T* old_query(int pass_row) const {
    return static_cast<const T*>(task_.old_q) + old_ + pass_row * task_.width;
  }

  __device__ float* old_lse(int tracked) const {
    return task_.old_lse + (std::int64_t{layer_} * task_.num_tracked_all + tracked) * task_.heads +
           head_;
  }

  __device__ __forceinline__ Queries<T> queries(const LaneRows& lane) const {
    Queries<T> queries;
    for (int i = 0; i < 2; ++i) {
      const SumRow& row = lane.rows[i];
      queries.row[i] = static_cast<const T*>(task_.q) + cache_ + row.cache_row * task_.width;
      const std::int64_t at = layer_ + 1 == task_.model_layers ? row.last_lse_row : row.lse_row;
      const float* lse = task_.lse + layer_ * task_.lse_stride + at * task_.heads + head_;
      queries.lse[i] = lane.valid[i] ? *lse : INFINITY;
    }
    return queries;
  }
  /// Of tracked rows, before the pass wrote.
  __device__ __forceinline__ Queries<T> old_queries(const SumJob& job, const LaneRows& lane) const {
    Queries<T> queries;
    for (int i = 0; i < 2; ++i) {
      queries.row[i] = old_query(lane.rows[i].lse_row);
      queries.lse[i] = lane.valid[i] ? *old_lse(job.tracked_lse + lane.index[i]) : INFINITY;
    }
    return queries;
  }

 private:
  const SumTask& task_;
  int layer_, head_;
  std::int64_t cache_, old_;  // where the head's columns of the layer begin
};

/// Keys of a head in the registers of a warp, to be multiplied with one set of rows after another.
/// A lane reads `kOfLane` of them, number i of which is `of_lane(i)`. kDim 0: any head size.
template <class T, int kDim>
struct HeadKeys {
  static constexpr int kOfLane = kTiles;
  uint4 words[kTiles][kDim / 32];

  __device__ static int of_lane(int i) { return 8 * i + lane_group(); }

  __device__ __forceinline__ void read(int i, const T* key) {
    for (int chunk = 0; chunk < kDim / 32; ++chunk)
      words[i][chunk] = RowFragments<kDim>::read(key, chunk);
  }

  /// dots: of each tile's keys as `mma` puts them.
  __device__ __forceinline__ void dot(const T* const (&row)[2],
                                      int,
                                      float (&dots)[kTiles][4]) const {
    for (auto& tile : dots) {
      for (float& d : tile) d = 0;
    }
    for (int chunk = 0; chunk < kDim / 32; ++chunk) {
      RowFragments<32> rows;
      rows.load(row[0] + 32 * chunk, row[1] + 32 * chunk);
      for (int tile = 0; tile < kTiles; ++tile) rows.add(0, words[tile][chunk], dots[tile]);
    }
  }
};
template <class T>
struct HeadKeys<T, 0> {
  static constexpr int kOfLane = 2 * kTiles;
  const T* keys[kOfLane];

  __device__ static int of_lane(int i) { return 8 * (i / 2) + 2 * lane_thread() + i % 2; }

  __device__ void read(int i, const T* key) { keys[i] = key; }

  __device__ void dot(const T* const (&row)[2], int dim, float (&dots)[kTiles][4]) const {
    const PlainRows<T> rows{row[0], row[1], dim};
    RUBATO_UNROLL
    for (int tile = 0; tile < kTiles; ++tile)
      rows.dot(keys[2 * tile], keys[2 * tile + 1], dots[tile]);
  }
};

/// The keys [first, first + kKeys) of a job, of one head at a time. Past its end: the last.
template <class T, int kDim>
class WarpKeys {
 public:
  __device__ WarpKeys(const SumTask& task, const SumJob& job, int first)
      : count_(job.num_keys - first),
        dim_(task.head_dim),
        scale_(1.0f / sqrtf(static_cast<float>(task.head_dim))) {
    RUBATO_UNROLL
    for (int i = 0; i < Keys::kOfLane; ++i) {
      const int mine = Keys::of_lane(i);
      cache_rows_[i] = job.slot_begin + first + (mine < count_ ? mine : count_ - 1);
      pass_rows_[i] = task.row_of[cache_rows_[i]];
    }
  }

  __device__ __forceinline__ void read(const HeadView<T>& head) {
    RUBATO_UNROLL
    for (int i = 0; i < Keys::kOfLane; ++i) keys_.read(i, head.key(cache_rows_[i]));
  }
  /// Puts what the pass overwrote in the place of what it wrote.
  __device__ __forceinline__ void read_old(const HeadView<T>& head) {
    RUBATO_UNROLL
    for (int i = 0; i < Keys::kOfLane; ++i) {
      if (pass_rows_[i] >= 0) keys_.read(i, head.old_key(pass_rows_[i]));
    }
  }

  /// Rows' scores in the order of `mma`'s result; past the last key: -infinity.
  __device__ __forceinline__ void score(const T* const (&row)[2],
                                        float (&scores)[kTiles][4]) const {
    keys_.dot(row, dim_, scores);
    for (int tile = 0; tile < kTiles; ++tile) {
      for (int i = 0; i < 4; ++i) {
        const bool there = 8 * tile + 2 * lane_thread() + i % 2 < count_;
        scores[tile][i] = there ? scores[tile][i] * scale_ : -INFINITY;
      }
    }
  }
  __device__ __forceinline__ void probabilities(const Queries<T>& queries,
                                                float (&p)[kTiles][4]) const {
    score(queries.row, p);
    for (auto& tile : p) {
      for (int i = 0; i < 4; ++i) tile[i] = expf(tile[i] - queries.lse[i / 2]);
    }
  }

 private:
  using Keys = HeadKeys<T, kDim>;

  int count_, dim_;
  float scale_;
  std::int32_t cache_rows_[Keys::kOfLane];
  std::int32_t pass_rows_[Keys::kOfLane];  // -1: the pass wrote nothing there
  Keys keys_;
};

/// The log-sum-exp of the tracked rows' attention before the pass wrote. A block: a head, 16 rows,
/// a layer; warps share the keys.
template <class T, int kDim>
__global__ void __launch_bounds__(kThreads) old_lse_kernel(SumTask task, int tiles) {
  const int layer = task.first_layer + static_cast<int>(blockIdx.y),
            head = static_cast<int>(blockIdx.x) % task.heads,
            rest = static_cast<int>(blockIdx.x) / task.heads;
  const SumJob& job = task.jobs[rest / tiles];
  const int begin = kRows * (rest % tiles);
  if (begin >= job.num_tracked) return;
  const HeadView<T> view(task, layer, head);
  const LaneRows lane(task.rows + job.tracked_begin, begin, job.num_tracked);
  const T* const row[2] = {view.old_query(lane.rows[0].lse_row),
                           view.old_query(lane.rows[1].lse_row)};
  float most[2] = {kLeast, kLeast}, sum[2] = {0, 0};
  const int warp = static_cast<int>(threadIdx.x) / kLanes;
  for (int first = kKeys * warp; first < job.num_keys; first += kKeys * kWarps) {
    WarpKeys<T, kDim> keys(task, job, first);
    keys.read(view);
    keys.read_old(view);
    float z[kTiles][4];
    keys.score(row, z);
    for (int i = 0; i < 2; ++i) {
      float larger = most[i];
      for (const auto& tile : z) larger = fmaxf(larger, fmaxf(tile[2 * i], tile[2 * i + 1]));
      sum[i] *= expf(most[i] - larger);
      for (const auto& tile : z)
        sum[i] += expf(tile[2 * i] - larger) + expf(tile[2 * i + 1] - larger);
      most[i] = larger;
    }
  }
  // [warp, lane of four][row]: their parts are put together in order.
  __shared__ float mosts[kWarps * 4][kRows], sums[kWarps * 4][kRows];
  for (int i = 0; i < 2; ++i) {
    mosts[4 * warp + lane_thread()][lane_group() + 8 * i] = most[i];
    sums[4 * warp + lane_thread()][lane_group() + 8 * i] = sum[i];
  }
  __syncthreads();
  const int index = static_cast<int>(threadIdx.x);
  if (index >= kRows || begin + index >= job.num_tracked) return;
  float whole = kLeast, total = 0;
  for (int part = 0; part < kWarps * 4; ++part) whole = fmaxf(whole, mosts[part][index]);
  for (int part = 0; part < kWarps * 4; ++part)
    total += sums[part][index] * expf(mosts[part][index] - whole);
  *view.old_lse(job.tracked_lse + begin + index) = whole + logf(total);
}

/// As cache/drift.h defines it, of a and b: a b, a², b².
__device__ __forceinline__ float clamped_cosine(float dot, float square, float other_square) {
  return dot / sqrtf(fmaxf(square, 1e-16f) * fmaxf(other_square, 1e-16f));
}

/// Probabilities of tracked rows before the pass and after; `keys` are those after it, and are left
/// as those before.
template <class T, int kDim>
__device__ __forceinline__ void compare(const HeadView<T>& view,
                                        const SumJob& job,
                                        const LaneRows& lane,
                                        WarpKeys<T, kDim>& keys,
                                        float (&before)[kTiles][4],
                                        float (&after)[kTiles][4]) {
  keys.probabilities(view.queries(lane), after);
  keys.read_old(view);
  keys.probabilities(view.old_queries(job, lane), before);
}

// A block of heads_kernel.
constexpr int kKeyWarps = 4, kHeadWarps = 4;
constexpr int kBlockKeys = kKeyWarps * kKeys;
constexpr int kHeadsThreads = kKeyWarps * kHeadWarps * kLanes;

/// What its warps found of rows and keys, each over some of the heads.
using HeadSums = float[kHeadWarps][kRows][kBlockKeys];

/// out[row, key] := their sum, for the first rows and keys; a row of `out` is `stride` long.
__device__ void add_up(const HeadSums& sums, int rows, int keys, std::int64_t stride, float* out) {
  __syncthreads();
  for (int at = static_cast<int>(threadIdx.x); at < rows * kBlockKeys; at += kHeadsThreads) {
    const int row = at / kBlockKeys, key = at % kBlockKeys;
    if (key >= keys) continue;
    float total = 0;
    for (const auto& of_warp : sums) total += of_warp[row][key];
    out[row * stride + key] = total;
  }
  __syncthreads();
}

/// Adds the attention that the job's window pays to the keys.
template <class T, int kDim>
__device__ __forceinline__ void add_mass(const HeadView<T>& view,
                                         const SumRow* window,
                                         int num_window,
                                         const WarpKeys<T, kDim>& keys,
                                         float (&mass)[kTiles][2]) {
  for (int begin = 0; begin < num_window; begin += kRows) {
    float p[kTiles][4];
    keys.probabilities(view.queries(LaneRows(window, begin, num_window)), p);
    for (int tile = 0; tile < kTiles; ++tile) {
      for (int i = 0; i < 2; ++i) mass[tile][i] += p[tile][i] + p[tile][i + 2];
    }
  }
}

/// What is summed over heads: the `heads` drift sums of 16 tracked rows and, along with the first
/// of them, the attention mass. A block: kBlockKeys keys of a job's layer, which it reads once for
/// all of that; warps share keys and heads.
template <class T, int kDim>
__global__ void __launch_bounds__(kHeadsThreads)
    heads_kernel(SumTask task, int tiles, int key_blocks) {
  const int layer = task.first_layer + static_cast<int>(blockIdx.y);
  // Blocks of the same keys are neighbours, so that memory is read once for them too.
  const int begin = kRows * (static_cast<int>(blockIdx.x) % tiles),
            rest = static_cast<int>(blockIdx.x) / tiles;
  const SumJob& job = task.jobs[rest / key_blocks];
  const int first = kBlockKeys * (rest % key_blocks);
  const bool has_drift = begin < job.num_tracked && job.rows_measure == 0;
  const bool has_mass = begin == 0 && job.num_window > 0 && layer >= job.first_layer;
  if (first >= job.num_keys || !(has_drift || has_mass)) return;
  const int warp = static_cast<int>(threadIdx.x) / kLanes, head_warp = warp / kKeyWarps,
            warp_key = kKeys * (warp % kKeyWarps);
  WarpKeys<T, kDim> keys(task, job, first + warp_key);
  float drift[3][kTiles][4] = {};  // old new, old², new²
  float mass[kTiles][2] = {};      // of keys 2t, 2t + 1 of a tile, this lane's rows
  for (int head = head_warp; head < task.heads; head += kHeadWarps) {
    const HeadView<T> view(task, layer, head);
    keys.read(view);
    if (has_mass) add_mass(view, task.rows + job.window_begin, job.num_window, keys, mass);
    if (!has_drift) continue;
    float p[kTiles][4], q[kTiles][4];
    compare(view, job, LaneRows(task.rows + job.tracked_begin, begin, job.num_tracked), keys, p, q);
    for (int tile = 0; tile < kTiles; ++tile) {
      for (int i = 0; i < 4; ++i) {
        drift[0][tile][i] += p[tile][i] * q[tile][i];
        drift[1][tile][i] += p[tile][i] * p[tile][i];
        drift[2][tile][i] += q[tile][i] * q[tile][i];
      }
    }
  }
  __shared__ HeadSums shared;
  float* out = task.sums + job.drift + layer * job.drift_size + first;
  RUBATO_UNROLL
  for (int which = 0; has_drift && which < 3; ++which) {
    for (int tile = 0; tile < kTiles; ++tile) {
      for (int i = 0; i < 4; ++i)
        shared[head_warp][lane_group() + 8 * (i / 2)]
              [warp_key + 8 * tile + 2 * lane_thread() + i % 2] = drift[which][tile][i];
    }
    const int rows = job.num_tracked - begin < kRows ? job.num_tracked - begin : kRows;
    const std::int64_t row = std::int64_t{which} * job.num_tracked + begin;
    add_up(shared, rows, job.num_keys - first, job.num_keys, out + row * job.num_keys);
  }
  if (!has_mass) return;
  for (int tile = 0; tile < kTiles; ++tile) {
    for (int i = 0; i < 2; ++i) {
      float x = mass[tile][i];
      for (int lanes = 4; lanes < kLanes; lanes *= 2) x += __shfl_xor_sync(kAllLanes, x, lanes);
      if (lane_group() == 0) shared[head_warp][0][warp_key + 8 * tile + 2 * lane_thread() + i] = x;
    }
  }
  out = task.sums + job.mass + std::int64_t{layer} * job.num_keys + first;
  add_up(shared, 1, job.num_keys - first, job.num_keys, out);
}

/// The `rows` drift measure: a block a head of a job's layer, which sums its tracked rows' cosines;
/// warps share the keys.
template <class T, int kDim>
__global__ void __launch_bounds__(kThreads, 2) drift_rows_kernel(SumTask task) {
  const int layer = task.first_layer + static_cast<int>(blockIdx.z),
            head = static_cast<int>(blockIdx.x);
  const SumJob& job = task.jobs[blockIdx.y];
  if (job.num_tracked == 0 || job.rows_measure == 0) return;
  const int warp = static_cast<int>(threadIdx.x) / kLanes;
  const HeadView<T> view(task, layer, head);
  __shared__ float shared[3][kWarps][kRows];
  float cosines = 0;  // of row threadIdx.x of each tile
  for (int begin = 0; begin < job.num_tracked; begin += kRows) {
    const LaneRows lane(task.rows + job.tracked_begin, begin, job.num_tracked);
    float sums[3][2] = {};
    for (int first = kKeys * warp; first < job.num_keys; first += kKeys * kWarps) {
      WarpKeys<T, kDim> keys(task, job, first);
      keys.read(view);
      float p[kTiles][4], q[kTiles][4];
      compare(view, job, lane, keys, p, q);
      for (int tile = 0; tile < kTiles; ++tile) {
        for (int i = 0; i < 4; ++i) {
          sums[0][i / 2] += p[tile][i] * q[tile][i];
          sums[1][i / 2] += p[tile][i] * p[tile][i];
          sums[2][i / 2] += q[tile][i] * q[tile][i];
        }
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
      float total[3] = {};
      for (int which = 0; which < 3; ++which) {
        for (int other = 0; other < kWarps; ++other) total[which] += shared[which][other][row];
      }
      cosines += clamped_cosine(total[0], total[1], total[2]);
    }
  }
  if (warp != 0) return;
  cosines = warp_sum(cosines);
  if (threadIdx.x == 0) task.sums[job.drift + layer * job.drift_size + head] = cosines;
}

constexpr int kSimilarityThreads = 1024;

/// The mean over a layer's heads and rows, or keys and rows: a block a layer of a job.
__global__ void __launch_bounds__(kSimilarityThreads) similarity_kernel(SimilarityTask task) {
  const SumJob& job = task.jobs[blockIdx.y];
  const int layer = static_cast<int>(blockIdx.x);
  const float* sums = task.sums + job.drift + layer * job.drift_size;
  const bool by_rows = job.rows_measure != 0;
  const std::int64_t pairs = by_rows ? job.drift_size : job.drift_size / 3;
  constexpr int kAtOnce = 4;  // whose sum is a float: doubles are slow on some GPUs
  double total = 0;
  for (std::int64_t first = threadIdx.x; first < pairs; first += kSimilarityThreads * kAtOnce) {
    float few = 0;
    for (int j = 0; j < kAtOnce; ++j) {
      const std::int64_t i = first + j * kSimilarityThreads;
      if (i >= pairs) continue;
      few += by_rows ? sums[i] : clamped_cosine(sums[i], sums[pairs + i], sums[2 * pairs + i]);
    }
    total += few;
  }
  constexpr int kSimilarityWarps = kSimilarityThreads / kLanes;
  __shared__ double shared[kSimilarityWarps];
  total = block_sum<kSimilarityWarps>(total, shared);
  if (threadIdx.x != 0) return;
  const double count =
      by_rows ? static_cast<double>(task.num_heads) * job.num_tracked : static_cast<double>(pairs);
  task.similarity[std::int64_t{blockIdx.y} * task.num_layers + layer] =
      job.num_tracked == 0 ? 0.0 : total / count;
}

template <class T, int kDim>
void launch_sums(const SumTask& task, Stream stream) {
  const auto layers = static_cast<unsigned>(task.num_layers),
             jobs = static_cast<unsigned>(task.num_jobs), heads = static_cast<unsigned>(task.heads);
  const unsigned tracked_tiles = blocks_for(task.most_tracked, kRows),
                 key_blocks = blocks_for(task.most_keys, kBlockKeys);
  // What grows with the step is in x: the others end at 65535.
  if (task.any_heads || task.any_rows) {
    RUBATO_LAUNCH((old_lse_kernel<T, kDim>),
                  (dim3{heads * tracked_tiles * jobs, layers}),
                  dim3{kThreads},
                  stream,
                  task,
                  static_cast<int>(tracked_tiles));
  }
  if (task.any_heads || task.any_mass) {
    const unsigned tiles = task.any_heads ? tracked_tiles : 1;
    RUBATO_LAUNCH((heads_kernel<T, kDim>),
                  (dim3{tiles * key_blocks * jobs, layers}),
                  dim3{kHeadsThreads},
                  stream,
                  task,
                  static_cast<int>(tiles),
                  static_cast<int>(key_blocks));
  }
  if (task.any_rows) {
    RUBATO_LAUNCH(
        (drift_rows_kernel<T, kDim>), (dim3{heads, jobs, layers}), dim3{kThreads}, stream, task);
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
  RUBATO_LAUNCH(similarity_kernel, grid, dim3{kSimilarityThreads}, stream, task);
  check_launch("similarity");
}

}  // namespace rubato::cuda
