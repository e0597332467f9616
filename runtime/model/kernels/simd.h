#pragma once

// Included only by kernels_isa.cpp, which is compiled once per instruction set: everything is in an
// unnamed namespace so that the copies stay apart.

#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "runtime/base/bfloat16.h"
#include "runtime/model/kernels/kernels.h"

namespace rubato {
namespace {

// A vector is one register: wider ones are spilled at every step.
#if defined(__AVX512F__)
constexpr int kLanes = 16;
constexpr int kTileRows = 12;  ///< rows of a product that are computed at once
#elif defined(__AVX2__)
constexpr int kLanes = 8;
constexpr int kTileRows = 6;
#else
constexpr int kLanes = 4;
constexpr int kTileRows = 6;
#endif
typedef float Vec __attribute__((vector_size(kLanes * sizeof(float))));
typedef double DoubleVec __attribute__((vector_size(kLanes * sizeof(double))));
typedef std::int32_t IntVec __attribute__((vector_size(kLanes * sizeof(float))));
typedef std::uint32_t BitsVec __attribute__((vector_size(kLanes * sizeof(float))));
typedef std::uint16_t HalfVec __attribute__((vector_size(kLanes * sizeof(std::uint16_t))));

/// All lanes `value`. (An addition to zeros would turn -0 into +0, and be one.)
inline Vec splat(float value) {
  return value - Vec{};
}

inline Vec load(const float* from) {
  Vec v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

inline void store(float* to, Vec v) {
  std::memcpy(to, &v, sizeof v);
}

/// kLanes bfloat16 values widened.
inline Vec load(const std::uint16_t* from) {
  HalfVec half;
  std::memcpy(&half, from, sizeof half);
  const BitsVec bits = __builtin_convertvector(half, BitsVec) << 16;
  Vec v;
  std::memcpy(&v, &bits, sizeof v);
  return v;
}

inline float widen(float value) {
  return value;
}
inline float widen(std::uint16_t bits) {
  return from_bfloat16(bits);
}

/// Nearest bfloat16 value.
inline float rounded(float value) {
  return from_bfloat16(to_bfloat16(value));
}

inline float rounded_if(float value, bool round) {
  return round ? rounded(value) : value;
}

inline void narrow(float value, float& to) {
  to = value;
}
inline void narrow(float value, std::uint16_t& to) {
  to = to_bfloat16(value);
}

inline Vec select(IntVec mask, Vec yes, Vec no) {
  return mask ? yes : no;
}

/// a * b, rounded before it is used: no addition is fused with it. (An addition that is fused or
/// not according to its place in a sum would make the sum depend on how it is split over ranks.)
inline Vec rounded_product(Vec a, Vec b) {
  Vec product = a * b;
  asm("" : "+m"(product));
  return product;
}

/// e^x within 2 ulp for -87 < x < 88; 0 below, and clamped above.
inline Vec exp(Vec x) {
  const Vec least = splat(-87.0f), most = splat(88.0f);
  const IntVec underflow = x < least;
  Vec clamped = select(underflow, least, x);
  clamped = select(clamped > most, most, clamped);
  const Vec magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const Vec n = (clamped * 1.44269504088896341f + magic) - magic;
  const Vec r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  Vec p = splat(1.9875691500e-4f);  // minimax polynomial of Cephes' expf
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const IntVec exponent = (__builtin_convertvector(n, IntVec) + 127) << 23;
  Vec power;
  std::memcpy(&power, &exponent, sizeof power);
  return select(underflow, Vec{}, p * power);
}

/// The lanes in a fixed order: pairs, pairs of pairs, ...
inline float sum(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

inline float max(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  float most = lanes[0];
  for (const float lane : lanes) most = lane > most ? lane : most;
  return most;
}

/// `count` floats, the rest of the lanes 0; all lanes where count >= kLanes.
inline Vec load_some(const float* from, std::int64_t count) {
  if (count >= kLanes) return load(from);
  float lanes[kLanes] = {};
  std::memcpy(lanes, from, count * sizeof(float));
  return load(lanes);
}

inline void store_some(float* to, Vec v, std::int64_t count) {
  if (count >= kLanes) return store(to, v);
  float lanes[kLanes];
  store(lanes, v);
  std::memcpy(to, lanes, count * sizeof(float));
}

/// Exchanges the lanes l + D of rows[i] with the lanes l of rows[i + D], where D is a bit of
/// neither l nor i.
template <int D>
inline void transpose_step(Vec* rows) {
  IntVec low = {}, high = {};
  for (int l = 0; l < kLanes; ++l) {
    low[l] = l & D ? l - D + kLanes : l;
    high[l] = l & D ? l + kLanes : l + D;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if (i & D) continue;
    const Vec a = rows[i], b = rows[i + D];
    rows[i] = __builtin_shuffle(a, b, low);
    rows[i + D] = __builtin_shuffle(a, b, high);
  }
}

/// rows[i] lane l := rows[l] lane i, of kLanes rows.
inline void transpose(Vec* rows) {
  if constexpr (kLanes > 8) transpose_step<8>(rows);
  if constexpr (kLanes > 4) transpose_step<4>(rows);
  transpose_step<2>(rows);
  transpose_step<1>(rows);
}

/// A stride of 1 that the compiler knows.
constexpr std::integral_constant<std::int64_t, 1> kOne{};

/// acc[MR][V vectors] = a[MR, k] times panel[k][V vectors], each element one chain of multiply-adds
/// from 0, in order of k. Element (m, i) of `a` lies at m * row_stride + i * column_stride; rows of
/// the panel and of acc lie `Width` apart.
template <int MR, int V, int Width, class Rows, class Columns, class W>
inline void multiply_tile(const float* a,
                          Rows row_stride,
                          Columns column_stride,
                          const W* panel,
                          std::int64_t k,
                          float* acc) {
  Vec sums[MR][V] = {};
  for (std::int64_t i = 0; i < k; ++i) {
    Vec b[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) b[v] = load(panel + i * Width + v * kLanes);
#pragma GCC unroll 16
    for (int m = 0; m < MR; ++m) {
      const Vec x = splat(a[m * row_stride + i * column_stride]);
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sums[m][v] += x * b[v];
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < MR; ++m) {
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) store(acc + m * Width + v * kLanes, sums[m][v]);
  }
}

/// `rows` <= kTileRows rows of `multiply_tile`.
template <int V, int Width, class Rows, class Columns, class W>
inline void multiply_rows(int rows,
                          const float* a,
                          Rows row_stride,
                          Columns column_stride,
                          const W* panel,
                          std::int64_t k,
                          float* acc) {
  int done = 0;
  const auto multiply = [&]<int MR>(std::integral_constant<int, MR>) {
    multiply_tile<MR, V, Width>(
        a + done * row_stride, row_stride, column_stride, panel, k, acc + done * Width);
    done += MR;
  };
  if (rows == kTileRows) return multiply(std::integral_constant<int, kTileRows>());
  if constexpr (kTileRows > 8) {
    if (rows >= 8) multiply(std::integral_constant<int, 8>());
  }
  if (rows - done >= 4) multiply(std::integral_constant<int, 4>());
  if (rows - done == 3) return multiply(std::integral_constant<int, 3>());
  if (rows - done == 2) return multiply(std::integral_constant<int, 2>());
  if (rows - done == 1) return multiply(std::integral_constant<int, 1>());
}

}  // namespace
}  // namespace rubato
