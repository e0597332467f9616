// Attention of chosen rows to all cached keys of their sequences.
#include <math.h>

#include "runtime/model/cuda/device_code.h"
#include "runtime/model/cuda/tensor_rows.h"

namespace rubato::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kLanes;

/// What one split of the keys gave a query, in Attention::split_out and split_stats.
struct SplitPart {
  float* out;     // [heads, head_dim]: the sum of exp(score - greatest) v
  float2* stats;  // [heads]: the greatest score, the sum of exp(score - greatest)
};
__device__ __forceinline__ SplitPart split_part(const Attention& task,
                                                const QueryTile& tile,
                                                int split,
                                                int index) {
  const std::int64_t part = std::int64_t{tile.partial_begin} + split * tile.num_queries + index;
  return {task.split_out + part * task.heads * task.head_dim,
          reinterpret_cast<float2*>(task.split_stats) + part * task.heads};
}

/// One query, one head, one split; the block's threads share the keys, then the columns. Any
/// element type and head size; the exact one, not the fast one.
template <class T>
__global__ void __launch_bounds__(kThreads) attend_plain(Attention task) {
  const QueryTile tile = task.tiles[blockIdx.x / kTileQueries];
  const int index = static_cast<int>(blockIdx.x % kTileQueries),
            head = static_cast<int>(blockIdx.y);
  const int split = static_cast<int>(blockIdx.z);
  if (index >= tile.num_queries || split >= tile.num_splits) return;
  const int query = tile.first_query + index, dim = task.head_dim;
  const int begin = split * tile.split_keys;
  const int end = begin + tile.split_keys < tile.num_keys ? begin + tile.split_keys : tile.num_keys;
  const float scale = 1.0f / sqrtf(static_cast<float>(dim));
  const auto row_of = [&](const CacheLayer& cache, std::int64_t row) {
    return static_cast<const T*>(cache.data) + row * cache.width + head * dim;
  };
  const T* q = row_of(task.q, task.query_rows[query]);
  __shared__ float shared[kWarps], weights[kThreads], columns[kThreads];
  float most = -INFINITY, sum = 0;  // of what has been seen, the same in all threads
  // Thread i sums column i % dim over every (kThreads / dim)th key.
  const int parts = dim < kThreads ? kThreads / dim : 1;
  const int column = static_cast<int>(threadIdx.x) % dim,
            part = static_cast<int>(threadIdx.x) / dim;
  float out = 0;
  for (int first = begin; first < end; first += kThreads) {
    const int key = first + static_cast<int>(threadIdx.x);
    float score = -INFINITY;
    if (key < end) {
      const T* k = row_of(task.k, tile.slot_begin + key);
      score = 0;
      for (int i = 0; i < dim; ++i) score += widen(q[i]) * widen(k[i]);
      score *= scale;
    }
    const float larger = fmaxf(most, block_max<kWarps>(score, shared));
    const float weight = key < end ? expf(score - larger) : 0.0f;
    const float keep = expf(most - larger);
    sum = sum * keep + block_sum<kWarps>(weight, shared);
    out *= keep;
    most = larger;
    weights[threadIdx.x] = weight;
    __syncthreads();
    const int count = end - first < kThreads ? end - first : kThreads;
    if (part < parts) {
      for (int i = part; i < count; i += parts)
        out += weights[i] * widen(row_of(task.v, tile.slot_begin + first + i)[column]);
    }
    __syncthreads();
  }
  columns[threadIdx.x] = out;
  __syncthreads();
  if (static_cast<int>(threadIdx.x) >= dim) return;
  for (int other = 1; other < parts; ++other) out += columns[other * dim + threadIdx.x];
  if (tile.num_splits == 1) {
    static_cast<T*>(task.out)[std::int64_t{query} * task.heads * dim + head * dim + column] =
        narrow<T>(out / sum);
    if (task.lse != nullptr && threadIdx.x == 0)
      task.lse[query * task.heads + head] = most + logf(sum);
    return;
  }
  const SplitPart part_of_query = split_part(task, tile, split, index);
  part_of_query.out[head * dim + column] = out;
  if (threadIdx.x == 0) part_of_query.stats[head] = float2{most, sum};
}

/// Puts the splits of a query together: a warp a head, a lane N neighbouring columns.
template <class T, int N>
__global__ void __launch_bounds__(kThreads) merge_splits(Attention task) {
  const QueryTile tile = task.tiles[blockIdx.x / kTileQueries];
  const int index = static_cast<int>(blockIdx.x % kTileQueries);
  const int head = static_cast<int>(blockIdx.y * kWarps + threadIdx.x / kLanes);
  if (index >= tile.num_queries || tile.num_splits == 1 || head >= task.heads) return;
  const auto stats = [&](int split) { return split_part(task, tile, split, index).stats[head]; };
  float most = -INFINITY;
  for (int split = 0; split < tile.num_splits; ++split) most = fmaxf(most, stats(split).x);
  const int query = tile.first_query + index, lane = static_cast<int>(threadIdx.x) % kLanes;
  for (int column = lane * N; column < task.head_dim; column += kLanes * N) {
    float sum = 0, out[N] = {};
#pragma unroll 4
    for (int split = 0; split < tile.num_splits; ++split) {
      const SplitPart part = split_part(task, tile, split, index);
      const Pack<float, N> values = read_pack<N>(part.out + head * task.head_dim + column);
      const float keep = expf(stats(split).x - most);
      sum += keep * stats(split).y;
      for (int i = 0; i < N; ++i) out[i] += keep * values.values[i];
    }
    Pack<T, N> merged;
    for (int i = 0; i < N; ++i) merged.values[i] = narrow<T>(out[i] / sum);
    const std::int64_t row = std::int64_t{query} * task.heads + head;
    write_pack<N>(static_cast<T*>(task.out) + row * task.head_dim + column, merged);
    if (task.lse != nullptr && column == 0) task.lse[row] = most + logf(sum);
  }
}

/// A warp's 16 queries over keys of a split, on tensor cores. Keys and values are read straight
/// into the fragments: which of a row's elements a fragment's index names does not matter to a dot
/// product as long as both sides agree, so each lane reads 16 bytes in a row and takes them as
/// they come (tensor_rows.h); of the values it reads 8 columns of four keys and pairs the keys.
template <int kDim>
struct TensorTile {
  static constexpr int kHalves = kDim / 64;
  static constexpr int kKeys = 32;  // a turn

  RowFragments<kDim> queries;
  float out[kHalves][8][4] = {};  // [half][column of a lane's 8]: of rows g, g + 8, lanes' pairs
  float most[2] = {-INFINITY, -INFINITY};
  float sum[2] = {0, 0};  // this lane's part

  __device__ void turn(
      const Bf16* k, const Bf16* v, std::int64_t stride, int key, int end, float scale) {
    float scores[kKeys / 8][4];
    for (int tile = 0; tile < kKeys / 8; ++tile) {
      const int mine = key + 8 * tile + lane_group();
      queries.dot(k + (mine < end ? mine : end - 1) * stride, scores[tile]);
    }
    float larger[2] = {most[0], most[1]};
    for (int tile = 0; tile < kKeys / 8; ++tile) {
      for (int i = 0; i < 4; ++i) {
        const int at = key + 8 * tile + 2 * lane_thread() + i % 2;
        scores[tile][i] = at < end ? scores[tile][i] * scale : -INFINITY;
        larger[i / 2] = fmaxf(larger[i / 2], scores[tile][i]);
      }
    }
    for (int row = 0; row < 2; ++row) {
      larger[row] = fmaxf(larger[row], __shfl_xor_sync(kAllLanes, larger[row], 1));
      larger[row] = fmaxf(larger[row], __shfl_xor_sync(kAllLanes, larger[row], 2));
      const float keep = expf(most[row] - larger[row]);
      sum[row] *= keep;
      for (int half = 0; half < kHalves; ++half) {
        for (int column = 0; column < 8; ++column) {
          out[half][column][2 * row] *= keep;
          out[half][column][2 * row + 1] *= keep;
        }
      }
      most[row] = larger[row];
    }
    for (int tile = 0; tile < kKeys / 8; ++tile) {
      for (int i = 0; i < 4; ++i) {
        scores[tile][i] = expf(scores[tile][i] - most[i / 2]);
        sum[i / 2] += scores[tile][i];
      }
    }
    for (int pair = 0; pair < kKeys / 16; ++pair) {
      const auto& first = scores[2 * pair];
      const auto& second = scores[2 * pair + 1];
      const std::uint32_t weights[4] = {pack(first[0], first[1]),
                                        pack(first[2], first[3]),
                                        pack(second[0], second[1]),
                                        pack(second[2], second[3])};
      add_values(v, stride, key + 16 * pair, end, weights);
    }
  }

  __device__ static std::uint32_t pack(float low, float high) {
    return pack_bf16(narrow<Bf16>(low), narrow<Bf16>(high));
  }

  __device__ void add_values(
      const Bf16* v, std::int64_t stride, int key, int end, const std::uint32_t (&weights)[4]) {
    const int keys[4] = {0, 1, 8, 9};
    for (int half = 0; half < kHalves; ++half) {
      Pack<Bf16, 8> values[4];
      for (int i = 0; i < 4; ++i) {
        const int mine = key + 2 * lane_thread() + keys[i];
        values[i] =
            read_pack<8>(v + (mine < end ? mine : end - 1) * stride + 64 * half + 8 * lane_group());
      }
      for (int column = 0; column < 8; ++column) {
        const std::uint32_t b[2] = {pack_bf16(values[0].values[column], values[1].values[column]),
                                    pack_bf16(values[2].values[column], values[3].values[column])};
        mma(out[half][column], weights, b);
      }
    }
  }

  /// What a warp has seen, a word of each lane after the other.
  static constexpr int kStateWords = 32 * kHalves + 4;
  using State = float[kStateWords][kLanes];

  __device__ void put(State& state) const {
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    for (int half = 0; half < kHalves; ++half) {
      for (int i = 0; i < 32; ++i) state[32 * half + i][lane] = out[half][i / 4][i % 4];
    }
    for (int row = 0; row < 2; ++row) {
      state[32 * kHalves + row][lane] = most[row];
      state[32 * kHalves + 2 + row][lane] = sum[row];
    }
  }

  /// Adds what another warp has seen of the same queries and other keys.
  __device__ void join(const State& state) {
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    for (int row = 0; row < 2; ++row) {
      const float other = state[32 * kHalves + row][lane];
      const float larger = fmaxf(most[row], other);
      const float mine = expf(most[row] - larger), theirs = expf(other - larger);
      sum[row] = mine * sum[row] + theirs * state[32 * kHalves + 2 + row][lane];
      for (int half = 0; half < kHalves; ++half) {
        for (int i = 0; i < 16; ++i) {
          float& mine_out = out[half][i / 2][2 * row + i % 2];
          mine_out =
              mine * mine_out + theirs * state[32 * half + 4 * (i / 2) + 2 * row + i % 2][lane];
        }
      }
      most[row] = larger;
    }
  }

  __device__ void finish() {
    for (int row = 0; row < 2; ++row) {
      sum[row] += __shfl_xor_sync(kAllLanes, sum[row], 1);
      sum[row] += __shfl_xor_sync(kAllLanes, sum[row], 2);
    }
  }

  /// The query of row g + 8 * row, to where its split is kept or, if there is only one, its result.
  __device__ void write_row(
      const Attention& task, const QueryTile& tile, int split, int index, int head, int row) const {
    if (tile.num_splits > 1) {
      const SplitPart part = split_part(task, tile, split, index);
      write_columns(part.out + head * kDim, row, 1.0f);
      if (lane_thread() == 0) part.stats[head] = float2{most[row], sum[row]};
      return;
    }
    const std::int64_t at = std::int64_t{tile.first_query + index} * task.heads + head;
    write_columns(static_cast<Bf16*>(task.out) + at * kDim, row, 1.0f / sum[row]);
    if (task.lse != nullptr && lane_thread() == 0) task.lse[at] = most[row] + logf(sum[row]);
  }

  /// This lane's columns of row g + 8 * row, 16 neighbouring ones of each half, times `factor`.
  template <class To>
  __device__ void write_columns(To* head, int row, float factor) const {
    for (int half = 0; half < kHalves; ++half)
      write_half(head + 64 * half + 16 * lane_thread(), half, row, factor);
  }
  template <class To>
  __device__ void write_half(To* to, int half, int row, float factor) const {
    constexpr int N = 16 / static_cast<int>(sizeof(To));
    for (int first = 0; first < 16; first += N) {
      Pack<To, N> columns;
      for (int i = 0; i < N; ++i) {
        const int column = first + i;
        columns.values[i] = narrow<To>(out[half][column % 8][2 * row + column / 8] * factor);
      }
      write_pack<N>(to + first, columns);
    }
  }
};

/// A tile's queries, a head, a split. Each 16 queries are a warp's; where that leaves warps over,
/// several share the keys, in turns, and the first of them puts together what they have seen.
template <int kDim>
__global__ void __launch_bounds__(kThreads, kDim == 128 ? 3 : 4) attend_tensor(Attention task) {
  using Tile = TensorTile<kDim>;
  const QueryTile tile = task.tiles[blockIdx.x];
  const int head = static_cast<int>(blockIdx.y), split = static_cast<int>(blockIdx.z);
  if (tile.num_queries == 0 || split >= tile.num_splits) return;
  const int groups = (tile.num_queries + 15) / 16, sharers = kWarps / groups;
  const int warp = static_cast<int>(threadIdx.x) / kLanes;
  const int first = 16 * (warp % groups), sharer = warp / groups;
  Tile work;
  if (sharer < sharers) {
    const Bf16* rows[2];
    for (int i = 0; i < 2; ++i) {
      int index = first + lane_group() + 8 * i;
      if (index >= tile.num_queries) index = tile.num_queries - 1;
      rows[i] = static_cast<const Bf16*>(task.q.data) +
                task.query_rows[tile.first_query + index] * task.q.width + head * kDim;
    }
    work.queries.load(rows[0], rows[1]);
    const auto base = [&](const CacheLayer& cache) {
      return static_cast<const Bf16*>(cache.data) + tile.slot_begin * cache.width + head * kDim;
    };
    const float scale = 1.0f / sqrtf(static_cast<float>(kDim));
    const int begin = split * tile.split_keys;
    const int end =
        begin + tile.split_keys < tile.num_keys ? begin + tile.split_keys : tile.num_keys;
    for (int key = begin + sharer * Tile::kKeys; key < end; key += sharers * Tile::kKeys)
      work.turn(base(task.k), base(task.v), task.k.width, key, end, scale);
  }
  __shared__ typename Tile::State seen[kWarps - 1];
  if (sharer > 0 && sharer < sharers) work.put(seen[warp - groups]);
  __syncthreads();
  if (sharer > 0) return;
  for (int other = 1; other < sharers; ++other) work.join(seen[(other - 1) * groups + warp]);
  work.finish();
  for (int row = 0; row < 2; ++row) {
    const int index = first + lane_group() + 8 * row;
    if (index < tile.num_queries) work.write_row(task, tile, split, index, head, row);
  }
}

template <int kDim>
void launch_tensor(const Attention& task, Stream stream) {
  const dim3 grid{static_cast<unsigned>(task.num_tiles),
                  static_cast<unsigned>(task.heads),
                  static_cast<unsigned>(task.most_splits)};
  RUBATO_LAUNCH(attend_tensor<kDim>, grid, dim3{kThreads}, stream, task);
}

}  // namespace

void attend(const Attention& task, Element element, Stream stream) {
  if (task.num_tiles == 0) return;
  if (element == Element::kBFloat16 && task.head_dim == 128) {
    launch_tensor<128>(task, stream);
  } else if (element == Element::kBFloat16 && task.head_dim == 64) {
    launch_tensor<64>(task, stream);
  } else {
    with_element(element, [&](auto zero) {
      const dim3 grid{static_cast<unsigned>(task.num_tiles) * kTileQueries,
                      static_cast<unsigned>(task.heads),
                      static_cast<unsigned>(task.most_splits)};
      RUBATO_LAUNCH(attend_plain<decltype(zero)>, grid, dim3{kThreads}, stream, task);
    });
  }
  if (task.most_splits > 1) {
    with_element(element, [&](auto zero) {
      using T = decltype(zero);
      const auto kernel = task.head_dim % 128 == 0  ? merge_splits<T, 4>
                          : task.head_dim % 64 == 0 ? merge_splits<T, 2>
                                                    : merge_splits<T, 1>;
      const dim3 grid{static_cast<unsigned>(task.num_tiles) * kTileQueries,
                      blocks_for(task.heads, kWarps)};
      RUBATO_LAUNCH(kernel, grid, dim3{kThreads}, stream, task);
    });
  }
  check_launch("attend");
}

}  // namespace rubato::cuda
