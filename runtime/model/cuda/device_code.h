#pragma once

// What the kernels share. Included by .cu files only, which a CPU build compiles as C++ against an
// emulation (tests/support/cuda_emulation), so that the kernels' logic is tested where there is no
// GPU.

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>

#include "runtime/model/cuda/kernels.h"

#ifdef __CUDACC__
#define RUBATO_LAUNCH(kernel, grid, block, stream, ...) \
  kernel<<<grid, block, 0, stream>>>(__VA_ARGS__)
#else
#define RUBATO_LAUNCH(kernel, grid, block, stream, ...) \
  ::rubato::emulation::launch(kernel, grid, block, stream, __VA_ARGS__)
#endif

/// Before a loop over registers: an index that is not known when compiling would put them in
/// memory.
#ifdef __CUDACC__
#define RUBATO_UNROLL _Pragma("unroll")
#else
#define RUBATO_UNROLL
#endif

namespace rubato::cuda {

using Bf16 = __nv_bfloat16;

constexpr unsigned kAllLanes = 0xffffffffu;
constexpr int kLanes = 32;

__device__ __forceinline__ float widen(float x) {
  return x;
}
__device__ __forceinline__ float widen(Bf16 x) {
  return __bfloat162float(x);
}
template <class T>
__device__ __forceinline__ T narrow(float x);
template <>
__device__ __forceinline__ float narrow<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ Bf16 narrow<Bf16>(float x) {
  return __float2bfloat16_rn(x);
}

/// x as T would store it.
template <class T>
__device__ __forceinline__ float rounded(float x) {
  return widen(narrow<T>(x));
}

/// N neighbouring elements, read and written at once; aligned to their size.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T values[N];
};
template <int N, class T>
__device__ __forceinline__ Pack<T, N> read_pack(const T* from) {
  return *reinterpret_cast<const Pack<T, N>*>(from);
}
template <int N, class T>
__device__ __forceinline__ void write_pack(T* to, const Pack<T, N>& pack) {
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

/// The pack of T nearest to some floats. Two at once: one alone is converted at a quarter of the
/// speed.
template <class T, int N>
__device__ __forceinline__ Pack<T, N> narrow_pack(const float (&values)[N]) {
  Pack<T, N> pack;
  if constexpr (sizeof(T) == 2 && N % 2 == 0) {
    for (int i = 0; i < N; i += 2) {
      const __nv_bfloat162 pair = __floats2bfloat162_rn(values[i], values[i + 1]);
      pack.values[i] = pair.x;
      pack.values[i + 1] = pair.y;
    }
  } else {
    for (int i = 0; i < N; ++i) pack.values[i] = narrow<T>(values[i]);
  }
  return pack;
}
template <class T, int N>
__device__ __forceinline__ void widen_pack(const Pack<T, N>& pack, float (&values)[N]) {
  for (int i = 0; i < N; ++i) values[i] = widen(pack.values[i]);
}
/// Each value as T would store it.
template <class T, int N>
__device__ __forceinline__ void round_pack(float (&values)[N]) {
  widen_pack(narrow_pack<T>(values), values);
}

__device__ __forceinline__ float warp_sum(float x) {
  for (int lanes = 16; lanes > 0; lanes /= 2) x += __shfl_xor_sync(kAllLanes, x, lanes);
  return x;
}
__device__ __forceinline__ double warp_sum(double x) {
  for (int lanes = 16; lanes > 0; lanes /= 2) x += __shfl_xor_sync(kAllLanes, x, lanes);
  return x;
}
__device__ __forceinline__ float warp_max(float x) {
  for (int lanes = 16; lanes > 0; lanes /= 2) x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, lanes));
  return x;
}

/// The sum over a block of kWarps warps, to all its threads, in a fixed order. To be called by all.
template <int kWarps, class Number>
__device__ __forceinline__ Number block_sum(Number x, Number* shared) {
  x = warp_sum(x);
  __syncthreads();  // `shared` may still be read
  if (threadIdx.x % kLanes == 0) shared[threadIdx.x / kLanes] = x;
  __syncthreads();
  Number total = 0;
  for (int warp = 0; warp < kWarps; ++warp) total += shared[warp];
  return total;
}
template <int kWarps>
__device__ __forceinline__ float block_max(float x, float* shared) {
  x = warp_max(x);
  __syncthreads();
  if (threadIdx.x % kLanes == 0) shared[threadIdx.x / kLanes] = x;
  __syncthreads();
  for (int warp = 0; warp < kWarps; ++warp) x = fmaxf(x, shared[warp]);
  return x;
}

/// d += a b: bfloat16 fragments of 16x16 and 16x8, sums in float32 (PTX mma.sync.m16n8k16).
/// Lane 4g + t holds of a: rows g, g + 8, g, g + 8 at columns 2t, 2t + 1 (the last two + 8); of b:
/// rows 2t, 2t + 1 (then + 8) of column g; of d: columns 2t, 2t + 1 of row g, then of row g + 8.
__device__ __forceinline__ void mma(float (&d)[4],
                                    const std::uint32_t (&a)[4],
                                    const std::uint32_t (&b)[2]) {
#ifdef __CUDACC__
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  ::rubato::emulation::mma_m16n8k16(d, a, b);
#endif
}

__device__ __forceinline__ std::uint32_t pack_bf16(Bf16 low, Bf16 high) {
  std::uint32_t word = 0;
  Bf16 both[2] = {low, high};
  memcpy(&word, both, sizeof word);
  return word;
}

/// Calls f with a T of the element type.
template <class F>
void with_element(Element element, F&& f) {
  if (element == Element::kFloat32) {
    f(float{});
  } else {
    f(Bf16{});
  }
}

/// A mix of a counter's bits (splitmix64): enough for weights that are only to be multiplied.
__device__ __forceinline__ std::uint64_t counter_bits(std::uint64_t seed, std::int64_t i) {
  std::uint64_t z = seed + 0x9E3779B97F4A7C15u * static_cast<std::uint64_t>(i + 1);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

inline unsigned blocks_for(std::int64_t count, int size) {
  return static_cast<unsigned>((count + size - 1) / size);
}

// launch.cu: the process ends when a launch failed; while a graph is recorded, RecordingFailed is
// thrown.
void check_launch(const char* kernel);

}  // namespace rubato::cuda
