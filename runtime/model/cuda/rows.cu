// What is done to rows on their way through a layer.
#include "runtime/model/cuda/device_code.h"

namespace rubato::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kLanes;

/// A block a row; N elements a thread at once.
template <class T, int N>
__global__ void __launch_bounds__(kThreads) residual_norm_kernel(ResidualNorm task) {
  const std::int64_t row = blockIdx.x;
  T* hidden = static_cast<T*>(task.hidden) + row * task.width;
  const float* delta = task.delta == nullptr ? nullptr : task.delta + row * task.width;
  const std::int32_t cache_row = task.x.data == nullptr ? -1 : task.cache_rows[row];
  T* x = static_cast<T*>(task.x.data) + cache_row * task.x.width - task.first_column;
  float squares = 0;
  for (int i = threadIdx.x * N; i < task.width; i += kThreads * N) {
    float values[N];
    widen_pack(read_pack<N>(hidden + i), values);
    if (delta != nullptr) {
      Pack<float, N> add = read_pack<N>(delta + i);
      round_pack<T>(add.values);
      for (int j = 0; j < N; ++j) values[j] += add.values[j];
      round_pack<T>(values);
      write_pack<N>(hidden + i, narrow_pack<T>(values));
    }
    if (cache_row >= 0 && i >= task.first_column && i < task.first_column + task.x.width)
      write_pack<N>(x + i, narrow_pack<T>(values));
    for (int j = 0; j < N; ++j) squares += values[j] * values[j];
  }
  __shared__ float shared[kWarps];
  const float mean = block_sum<kWarps>(squares, shared) / static_cast<float>(task.width);
  const float inverse = 1.0f / sqrtf(mean + task.eps);
  T* normed = static_cast<T*>(task.normed) + row * task.width;
  for (int i = threadIdx.x * N; i < task.width; i += kThreads * N) {  // what this thread wrote
    float values[N];
    widen_pack(read_pack<N>(hidden + i), values);
    const Pack<float, N> weight = read_pack<N>(task.weight + i);
    for (int j = 0; j < N; ++j) values[j] *= inverse;
    round_pack<T>(values);
    for (int j = 0; j < N; ++j) values[j] *= weight.values[j];
    write_pack<N>(normed + i, narrow_pack<T>(values));
  }
}

template <class T>
__global__ void gather_sums_kernel(GatherSums task) {
  const std::int64_t width = task.width;
  const auto row_of = [](const std::int32_t* rows) -> std::int64_t {
    return rows == nullptr ? static_cast<std::int64_t>(blockIdx.x) : rows[blockIdx.x];
  };
  const std::int64_t hidden_row = row_of(task.hidden_rows), delta_row = row_of(task.delta_rows),
                     out_row = row_of(task.out_rows);
  if (hidden_row < 0 || delta_row < 0 || out_row < 0) return;
  const T* hidden = static_cast<const T*>(task.hidden) + hidden_row * width;
  const float* delta = task.delta + delta_row * width;
  T* out = static_cast<T*>(task.out) + out_row * width;
  for (int i = threadIdx.x; i < width; i += kThreads)
    out[i] = narrow<T>(widen(hidden[i]) + rounded<T>(delta[i]));
}

template <class T>
__global__ void embed_kernel(const T* embedding,
                             const std::int32_t* tokens,
                             int first_id,
                             int num_ids,
                             int width,
                             float* out) {
  const std::int64_t id = tokens[blockIdx.x] - first_id;
  const bool held = id >= 0 && id < num_ids;
  out += std::int64_t{blockIdx.x} * width;
  for (int i = threadIdx.x; i < width; i += kThreads)
    out[i] = held ? widen(embedding[id * width + i]) : 0.0f;
}

template <class T, int N>
__global__ void swiglu_kernel(const T* gate_up, int width, T* out) {
  const std::int64_t row = blockIdx.y;
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x) * N;
  if (i >= width) return;
  float values[N], up[N];
  widen_pack(read_pack<N>(gate_up + row * 2 * width + i), values);
  widen_pack(read_pack<N>(gate_up + row * 2 * width + width + i), up);
  for (int j = 0; j < N; ++j) values[j] /= 1.0f + expf(-values[j]);
  round_pack<T>(values);
  for (int j = 0; j < N; ++j) values[j] *= up[j];
  write_pack<N>(out + row * width + i, narrow_pack<T>(values));
}

template <class T>
__global__ void interleave_kernel(const T* parts, int num_parts, int rows, int width, T* out) {
  const std::int64_t row = blockIdx.x, part = blockIdx.y;
  const T* from = parts + (part * rows + row) * width;
  T* to = out + (row * num_parts + part) * width;
  for (int i = threadIdx.x; i < width; i += kThreads) to[i] = from[i];
}

/// A block q, k or v of a row. All that a thread reads it reads before it writes, since the
/// compiler cannot know that the addresses differ.
template <class T, int N>
__global__ void __launch_bounds__(kThreads) rope_scatter_kernel(RopeScatter task) {
  const std::int64_t row = blockIdx.x, cache_row = task.cache_rows[row];
  if (cache_row < 0) return;
  const int width = task.heads * task.head_dim, half = task.head_dim / 2;
  const bool is_q = blockIdx.y == 0, is_v = blockIdx.y == 2;
  const T* from = static_cast<const T*>(task.qkv) + (3 * row + blockIdx.y) * width;
  T* to = static_cast<T*>((is_q ? task.q : is_v ? task.v : task.k).data) + cache_row * width;
  if (is_v) {
    for (int i = threadIdx.x * N; i < width; i += kThreads * N)
      write_pack<N>(to + i, read_pack<N>(from + i));
    return;
  }
  const float* cos = task.cos + std::int64_t{task.positions[row]} * half;
  const float* sin = task.sin + std::int64_t{task.positions[row]} * half;
  const bool keeps = task.old_q != nullptr;
  T* kept = static_cast<T*>(is_q ? task.old_q : task.old_k) + row * width;
  for (int pair = threadIdx.x * N; pair < width / 2; pair += kThreads * N) {
    const int angle = pair % half, low = pair / half * task.head_dim + angle, high = low + half;
    Pack<T, N> old_low = {}, old_high = {};
    if (keeps) {
      old_low = read_pack<N>(to + low);
      old_high = read_pack<N>(to + high);
    }
    float x[N], y[N], rotated[N];
    widen_pack(read_pack<N>(from + low), x);
    widen_pack(read_pack<N>(from + high), y);
    const Pack<float, N> c = read_pack<N>(cos + angle), s = read_pack<N>(sin + angle);
    if (keeps) {
      write_pack<N>(kept + low, old_low);
      write_pack<N>(kept + high, old_high);
    }
    for (int j = 0; j < N; ++j) rotated[j] = x[j] * c.values[j] - y[j] * s.values[j];
    write_pack<N>(to + low, narrow_pack<T>(rotated));
    for (int j = 0; j < N; ++j) rotated[j] = y[j] * c.values[j] + x[j] * s.values[j];
    write_pack<N>(to + high, narrow_pack<T>(rotated));
  }
}

__global__ void mark_rows_kernel(const std::int32_t* cache_rows,
                                 int rows,
                                 bool clear,
                                 std::int32_t* map) {
  const int row = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (row < rows && cache_rows[row] >= 0) map[cache_rows[row]] = clear ? -1 : row;
}

/// Elements of T in 16 bytes.
template <class T>
constexpr int kVector = 16 / static_cast<int>(sizeof(T));

template <class T>
__global__ void fill_random_kernel(T* out, std::int64_t count, std::uint64_t seed, float bound) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= count) return;
  const float unit = static_cast<float>(counter_bits(seed, i) >> 40) * (1.0f / (1 << 24));
  out[i] = narrow<T>((2 * unit - 1) * bound);
}

__global__ void fill_constant_kernel(float* out, std::int64_t count, float value) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < count) out[i] = value;
}

}  // namespace

void residual_norm(const ResidualNorm& task, Element element, Stream stream) {
  if (task.rows == 0) return;
  with_element(element, [&](auto zero) {
    using T = decltype(zero);
    constexpr int N = kVector<T>;
    const bool whole = task.width % N == 0 && task.x.width % N == 0 && task.first_column % N == 0;
    const auto kernel = whole ? residual_norm_kernel<T, N> : residual_norm_kernel<T, 1>;
    RUBATO_LAUNCH(kernel, dim3{static_cast<unsigned>(task.rows)}, dim3{kThreads}, stream, task);
  });
  check_launch("residual_norm");
}

void gather_sums(const GatherSums& task, Element element, Stream stream) {
  if (task.count == 0) return;
  with_element(element, [&](auto zero) {
    RUBATO_LAUNCH(gather_sums_kernel<decltype(zero)>,
                  dim3{static_cast<unsigned>(task.count)},
                  dim3{kThreads},
                  stream,
                  task);
  });
  check_launch("gather_sums");
}

void embed(const void* embedding,
           const std::int32_t* tokens,
           int first_id,
           int num_ids,
           int rows,
           int width,
           float* out,
           Element element,
           Stream stream) {
  if (rows == 0) return;
  with_element(element, [&](auto zero) {
    using T = decltype(zero);
    RUBATO_LAUNCH(embed_kernel<T>,
                  dim3{static_cast<unsigned>(rows)},
                  dim3{kThreads},
                  stream,
                  static_cast<const T*>(embedding),
                  tokens,
                  first_id,
                  num_ids,
                  width,
                  out);
  });
  check_launch("embed");
}

void swiglu(const void* gate_up, int rows, int width, void* out, Element element, Stream stream) {
  if (rows == 0) return;
  with_element(element, [&](auto zero) {
    using T = decltype(zero);
    constexpr int N = kVector<T>;
    const bool whole = width % N == 0;
    const auto kernel = whole ? swiglu_kernel<T, N> : swiglu_kernel<T, 1>;
    const dim3 grid{blocks_for(width, kThreads * (whole ? N : 1)), static_cast<unsigned>(rows)};
    RUBATO_LAUNCH(kernel,
                  grid,
                  dim3{kThreads},
                  stream,
                  static_cast<const T*>(gate_up),
                  width,
                  static_cast<T*>(out));
  });
  check_launch("swiglu");
}

void interleave(const void* parts,
                int num_parts,
                int rows,
                int width,
                void* out,
                Element element,
                Stream stream) {
  if (rows == 0) return;
  with_element(element, [&](auto zero) {
    using T = decltype(zero);
    const dim3 grid{static_cast<unsigned>(rows), static_cast<unsigned>(num_parts)};
    RUBATO_LAUNCH(interleave_kernel<T>,
                  grid,
                  dim3{kThreads},
                  stream,
                  static_cast<const T*>(parts),
                  num_parts,
                  rows,
                  width,
                  static_cast<T*>(out));
  });
  check_launch("interleave");
}

void rope_scatter(const RopeScatter& task, Element element, Stream stream) {
  if (task.rows == 0) return;
  with_element(element, [&](auto zero) {
    using T = decltype(zero);
    constexpr int N = kVector<T>;
    const bool whole = task.head_dim / 2 % N == 0;
    const auto kernel = whole ? rope_scatter_kernel<T, N> : rope_scatter_kernel<T, 1>;
    const dim3 grid{static_cast<unsigned>(task.rows), 3};
    RUBATO_LAUNCH(kernel, grid, dim3{kThreads}, stream, task);
  });
  check_launch("rope_scatter");
}

void mark_rows(const std::int32_t* cache_rows, int rows, bool clear, std::int32_t* map, Stream s) {
  if (rows == 0) return;
  RUBATO_LAUNCH(mark_rows_kernel,
                dim3{blocks_for(rows, kThreads)},
                dim3{kThreads},
                s,
                cache_rows,
                rows,
                clear,
                map);
  check_launch("mark_rows");
}

void fill_random(
    void* out, std::int64_t count, std::uint64_t seed, float bound, Element e, Stream s) {
  with_element(e, [&](auto zero) {
    using T = decltype(zero);
    RUBATO_LAUNCH(fill_random_kernel<T>,
                  dim3{blocks_for(count, kThreads)},
                  dim3{kThreads},
                  s,
                  static_cast<T*>(out),
                  count,
                  seed,
                  bound);
  });
  check_launch("fill_random");
}

void fill_constant(float* out, std::int64_t count, float value, Stream stream) {
  RUBATO_LAUNCH(fill_constant_kernel,
                dim3{blocks_for(count, kThreads)},
                dim3{kThreads},
                stream,
                out,
                count,
                value);
  check_launch("fill_constant");
}

}  // namespace rubato::cuda
