// Products with float8 weights, for few rows: what is to be read of the weights is half of
// bfloat16's.
#include "runtime/model/cuda/device_code.h"
#include "runtime/model/cuda/tensor_rows.h"

namespace rubato::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kLanes;
constexpr int kWarpChannels = 32;  // output channels of a warp: two tiles of 16
static_assert(kWarps * kWarpChannels == kFloat8BlockChannels);
constexpr int kTileRows = 8;
constexpr int kPieces = kFloat8Chunk / 8;  // of 16 bytes, in a row of a chunk of the inputs

/// Four neighbouring float8 numbers as bfloat16: the first and the third, the second and the
/// fourth. Sign, exponent and fraction move to their places there; what is left is that the
/// exponents are counted from -7 and not from -127.
__device__ __forceinline__ void to_bf16_words(std::uint32_t four, std::uint32_t (&words)[2]) {
  words[0] = (four & 0x00800080u) << 8 | (four & 0x007f007fu) << 4;
  words[1] = (four & 0x80008000u) | (four & 0x7f007f00u) >> 4;
  for (std::uint32_t& word : words) {
    __nv_bfloat162 pair;
    memcpy(&pair, &word, sizeof pair);
    pair = __hmul2(pair, __float2bfloat162_rn(0x1p120f));
    memcpy(&word, &pair, sizeof word);
  }
}

/// Eight neighbouring inputs, in the pairs that weights come in: a dot product does not mind.
__device__ __forceinline__ uint4 paired(const uint4& x) {
  return {(x.x & 0xffffu) | x.y << 16,
          x.x >> 16 | (x.y & 0xffff0000u),
          (x.z & 0xffffu) | x.w << 16,
          x.z >> 16 | (x.w & 0xffff0000u)};
}

__device__ __forceinline__ void store(const Float8Product& task, int row, int channel, float sum) {
  const std::int64_t at = std::int64_t{row} * task.n + channel;
  if (task.result == Element::kFloat32) {
    static_cast<float*>(task.y)[at] = sum;
  } else {
    static_cast<Bf16*>(task.y)[at] = narrow<Bf16>(sum);
  }
}

/// Of two channels 16 neighbouring weights as the first operands of four `mma`.
__device__ __forceinline__ void to_fragments(const uint4& above,
                                             const uint4& below,
                                             std::uint32_t (&fragments)[4][4]) {
  const std::uint32_t a[4] = {above.x, above.y, above.z, above.w};
  const std::uint32_t b[4] = {below.x, below.y, below.z, below.w};
  for (int step = 0; step < 4; ++step) {
    std::uint32_t upper[2], lower[2];
    to_bf16_words(a[step], upper);
    to_bf16_words(b[step], lower);
    fragments[step][0] = upper[0];
    fragments[step][1] = lower[0];
    fragments[step][2] = upper[1];
    fragments[step][3] = lower[1];
  }
}

/// A thread's share of the rows' inputs in a chunk, on its way to shared memory, where all warps of
/// the block read them.
template <int kRowTiles>
class Inputs {
 public:
  static constexpr int kSize = kRowTiles * kTileRows * kPieces;

  __device__ __forceinline__ void read(const Float8Product& task, int at) {
    visit([&](int row, int piece, uint4& mine) {
      const std::int64_t from = row < task.rows ? row : task.rows - 1;
      mine = *reinterpret_cast<const uint4*>(static_cast<const Bf16*>(task.x) + from * task.k + at +
                                             8 * piece);
    });
  }

  __device__ __forceinline__ void write(uint4* shared) {
    visit([&](int row, int piece, const uint4& mine) {
      shared[place(row, piece / 2, piece % 2)] = paired(mine);
    });
  }

  /// Where a half of the 16 inputs lies that lanes with this lane_thread() read. Lanes of two
  /// neighbouring rows read at once: theirs lie in different banks.
  __device__ static __forceinline__ int place(int row, int thread, int half) {
    return kPieces * row + 4 * ((row ^ half) & 1) + thread;
  }

 private:
  static constexpr int kMine = (kSize + kThreads - 1) / kThreads;

  template <class Visit>
  __device__ __forceinline__ void visit(const Visit& visit) {
    for (int i = 0; i < kMine; ++i) {
      const int index = kThreads * i + static_cast<int>(threadIdx.x);
      if (index < kSize) visit(index / kPieces, index % kPieces, pieces_[i]);
    }
  }

  uint4 pieces_[kMine];
};

/// A warp's 32 channels and all rows, over one split of k, on tensor cores; channels are the first
/// operand. A lane reads 16 neighbouring weights of each of its channels and the 16 inputs they
/// meet, and takes them as fragments in that order: see tensor_rows.h. While a chunk is multiplied
/// the next one is on its way.
template <int kRowTiles>
__global__ void __launch_bounds__(kThreads) multiply(Float8Product task) {
  const int warp = static_cast<int>(threadIdx.x) / kLanes;
  const int first = static_cast<int>(blockIdx.x) * kFloat8BlockChannels + warp * kWarpChannels;
  const int split = static_cast<int>(blockIdx.y);
  const int chunks = task.k / kFloat8Chunk;
  const int begin = split * chunks / task.splits * kFloat8Chunk,
            end = (split + 1) * chunks / task.splits * kFloat8Chunk;
  const std::uint8_t* channels[4];  // first + g, + 8 + g, ...; behind the last one: the last
  for (int i = 0; i < 4; ++i) {
    const int channel = first + 8 * i + lane_group();
    channels[i] = task.w + std::int64_t{channel < task.n ? channel : task.n - 1} * task.k +
                  16 * lane_thread();
  }
  using BlockInputs = Inputs<kRowTiles>;
  __shared__ uint4 shared[2][BlockInputs::kSize];
  BlockInputs inputs;
  uint4 packed[4];  // weights of the lane's channels
  const auto read = [&](int at) {
    for (int i = 0; i < 4; ++i) packed[i] = *reinterpret_cast<const uint4*>(channels[i] + at);
    inputs.read(task, at);
  };
  read(begin);
  inputs.write(shared[0]);
  float sums[2][kRowTiles][4] = {};
  int now = 0;  // of `shared`
  for (int at = begin; at < end; at += kFloat8Chunk, now = 1 - now) {
    std::uint32_t weights[2][4][4];  // [tile of channels][16 of the chunk][fragment]
    to_fragments(packed[0], packed[1], weights[0]);
    to_fragments(packed[2], packed[3], weights[1]);
    const bool more = at + kFloat8Chunk < end;
    if (more) read(at + kFloat8Chunk);
    __syncthreads();  // shared[now] is written, the other no longer read
    for (int tile = 0; tile < kRowTiles; ++tile) {
      const int row = kTileRows * tile + lane_group();
      const uint4 x = shared[now][BlockInputs::place(row, lane_thread(), 0)];
      const uint4 next = shared[now][BlockInputs::place(row, lane_thread(), 1)];
      const std::uint32_t fragments[4][2] = {
          {x.x, x.y}, {x.z, x.w}, {next.x, next.y}, {next.z, next.w}};
      for (int step = 0; step < 4; ++step) {
        mma(sums[0][tile], weights[0][step], fragments[step]);
        mma(sums[1][tile], weights[1][step], fragments[step]);
      }
    }
    if (more) inputs.write(shared[1 - now]);
  }
  const auto put = [&](int channel, int row, float sum) {
    if (channel >= task.n || row >= task.rows) return;
    if (task.splits > 1) {
      task.parts[(std::int64_t{split} * task.rows + row) * task.n + channel] = sum;
    } else {
      store(task, row, channel, sum * task.scales[channel]);
    }
  };
  RUBATO_UNROLL
  for (int half = 0; half < 2; ++half) {
    RUBATO_UNROLL
    for (int tile = 0; tile < kRowTiles; ++tile) {
      const int channel = first + 16 * half + lane_group();
      const int row = kTileRows * tile + 2 * lane_thread();
      put(channel, row, sums[half][tile][0]);
      put(channel, row + 1, sums[half][tile][1]);
      put(channel + 8, row, sums[half][tile][2]);
      put(channel + 8, row + 1, sums[half][tile][3]);
    }
  }
}

/// Adds the splits up; a thread an output.
__global__ void __launch_bounds__(kThreads) add_splits(Float8Product task) {
  const std::int64_t size = std::int64_t{task.rows} * task.n;
  const std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= size) return;
  float sum = 0;
  for (int split = 0; split < task.splits; ++split) sum += task.parts[split * size + at];
  const int channel = static_cast<int>(at % task.n);
  store(task, static_cast<int>(at / task.n), channel, sum * task.scales[channel]);
}

__device__ __forceinline__ float from_float8(std::uint8_t bits) {
  const std::uint32_t moved = (bits & 0x80u) << 24 | (bits & 0x7fu) << 20;
  float value = 0;
  memcpy(&value, &moved, sizeof value);
  return value * 0x1p120f;
}

/// A block a row; N weights a thread at once.
template <class T, int N>
__global__ void __launch_bounds__(kThreads)
    expand(const std::uint8_t* w, const float* scales, std::int64_t k, T* out) {
  const float scale = scales[blockIdx.x];
  w += blockIdx.x * k;
  out += blockIdx.x * k;
  for (std::int64_t i = N * static_cast<int>(threadIdx.x); i < k; i += N * kThreads) {
    const Pack<std::uint8_t, N> bits = read_pack<N>(w + i);
    Pack<T, N> values;
    for (int j = 0; j < N; ++j) values.values[j] = narrow<T>(from_float8(bits.values[j]) * scale);
    write_pack<N>(out + i, values);
  }
}

/// Sign and fraction at random, magnitudes up to 16.
__global__ void __launch_bounds__(kThreads)
    fill(std::uint8_t* out, std::int64_t count, std::uint64_t seed) {
  const std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= count) return;
  constexpr std::uint32_t kBitsOf16 = 0x58;
  const auto bits = static_cast<std::uint32_t>(counter_bits(seed, at) >> 32);
  out[at] = static_cast<std::uint8_t>(bits % kBitsOf16 | (bits >> 24 & 0x80));
}

}  // namespace

void multiply_float8(const Float8Product& task, Stream stream) {
  if (task.rows == 0) return;
  const int tiles = (task.rows + kTileRows - 1) / kTileRows;
  const auto kernel = tiles <= 1   ? multiply<1>
                      : tiles <= 2 ? multiply<2>
                      : tiles <= 4 ? multiply<4>
                                   : multiply<8>;
  RUBATO_LAUNCH(
      kernel,
      (dim3{blocks_for(task.n, kFloat8BlockChannels), static_cast<unsigned>(task.splits)}),
      dim3{kThreads},
      stream,
      task);
  check_launch("multiply_float8");
  if (task.splits == 1) return;
  RUBATO_LAUNCH(add_splits,
                dim3{blocks_for(std::int64_t{task.rows} * task.n, kThreads)},
                dim3{kThreads},
                stream,
                task);
  check_launch("add_splits");
}

void expand_float8(const std::uint8_t* w,
                   const float* scales,
                   std::int64_t n,
                   std::int64_t k,
                   void* out,
                   Element element,
                   Stream stream) {
  with_element(element, [&](auto zero) {
    using T = decltype(zero);
    constexpr int N = 16 / sizeof(T);
    const auto kernel = k % N == 0 ? expand<T, N> : expand<T, 1>;
    RUBATO_LAUNCH(kernel,
                  dim3{static_cast<unsigned>(n)},
                  dim3{kThreads},
                  stream,
                  w,
                  scales,
                  k,
                  static_cast<T*>(out));
  });
  check_launch("expand_float8");
}

void fill_random_float8(std::uint8_t* out, std::int64_t count, std::uint64_t seed, Stream stream) {
  RUBATO_LAUNCH(fill, dim3{blocks_for(count, kThreads)}, dim3{kThreads}, stream, out, count, seed);
  check_launch("fill_random_float8");
}

}  // namespace rubato::cuda
