#pragma once

// Dot products of 16 rows with 8 others at a time, by a warp. Included by .cu files only.

#include "runtime/model/cuda/device_code.h"

namespace rubato::cuda {

// Of lane 4g + t: g names a row (and, of a second operand, a column), t a pair of columns.
__device__ __forceinline__ int lane_group() {
  return static_cast<int>(threadIdx.x) % kLanes / 4;
}
__device__ __forceinline__ int lane_thread() {
  return static_cast<int>(threadIdx.x) % 4;
}

/// 16 rows of kDim bfloat16 as the first operand of `mma`. Lane 4g + t reads elements 32c + 8t ...
/// + 7 of its rows and of its keys as fragment words in that order, which permutes the dot
/// product's index alike on both sides.
template <int kDim>
struct RowFragments {
  std::uint32_t words[kDim / 32][2][4];  // [32 elements][16 of them][fragment]

  /// row, row_below: rows g and g + 8 of this lane.
  __device__ __forceinline__ void load(const Bf16* row, const Bf16* row_below) {
    for (int chunk = 0; chunk < kDim / 32; ++chunk) {
      const uint4 a = read(row, chunk), b = read(row_below, chunk);
      const std::uint32_t first[4] = {a.x, b.x, a.y, b.y}, second[4] = {a.z, b.z, a.w, b.w};
      for (int i = 0; i < 4; ++i) {
        words[chunk][0][i] = first[i];
        words[chunk][1][i] = second[i];
      }
    }
  }

  /// key: column g's row. dots: of row g with columns 2t, 2t + 1, then of row g + 8.
  __device__ __forceinline__ void dot(const Bf16* key, float (&dots)[4]) const {
    for (float& d : dots) d = 0;
    for (int chunk = 0; chunk < kDim / 32; ++chunk) add(chunk, read(key, chunk), dots);
  }
  /// dots += what a chunk of the key gives, as `read` read it.
  __device__ __forceinline__ void add(int chunk, const uint4& key, float (&dots)[4]) const {
    const std::uint32_t first[2] = {key.x, key.y}, second[2] = {key.z, key.w};
    mma(dots, words[chunk][0], first);
    mma(dots, words[chunk][1], second);
  }

  __device__ static __forceinline__ uint4 read(const Bf16* row, int chunk) {
    return *reinterpret_cast<const uint4*>(row + 32 * chunk + 8 * lane_thread());
  }
};

/// The same answers for any element type and head size, an element at a time.
template <class T>
struct PlainRows {
  const T* row;
  const T* row_below;
  int dim;

  /// keys: columns 2t and 2t + 1.
  __device__ __forceinline__ void dot(const T* key, const T* next_key, float (&dots)[4]) const {
    for (float& d : dots) d = 0;
    for (int i = 0; i < dim; ++i) {
      const float a = widen(row[i]), b = widen(row_below[i]);
      const float k = widen(key[i]), next = widen(next_key[i]);
      dots[0] += a * k;
      dots[1] += a * next;
      dots[2] += b * k;
      dots[3] += b * next;
    }
  }
};

}  // namespace rubato::cuda
