#pragma once

// The language of kernels, as far as runtime/model/cuda speaks it.

#include <cmath>
#include <cstdint>

#include "cuda_runtime_api.h"
#include "tests/support/cuda_emulation/emulation.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
// Blocks run one after the other on the thread that launches them.
#define __shared__ static thread_local

struct alignas(8) uint2 {
  std::uint32_t x, y;
};
struct alignas(16) uint4 {
  std::uint32_t x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};

using rubato::emulation::blockDim;
using rubato::emulation::blockIdx;
using rubato::emulation::dim3;
using rubato::emulation::gridDim;
using rubato::emulation::threadIdx;

inline void __syncthreads() {
  rubato::emulation::block_barrier();
}
template <class T>
T __shfl_xor_sync(unsigned, T value, int lanes) {
  return rubato::emulation::shuffle(value, rubato::emulation::lane() ^ lanes);
}
template <class T>
T __shfl_sync(unsigned, T value, int source) {
  return rubato::emulation::shuffle(value, source);
}
inline std::uint32_t __umulhi(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::uint32_t>((std::uint64_t{a} * b) >> 32);
}
