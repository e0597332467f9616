#pragma once

// Included only by kernels_isa.cpp, which is compiled once per instruction set: everything is in an
// unnamed namespace so that the copies stay apart.

#include <cstdint>
#include <cstring>
#include <limits>

#include "runtime/model/kernels/kernels.h"

namespace rubato {
namespace {

constexpr int kLanes = 16;
typedef float Vec __attribute__((vector_size(kLanes * sizeof(float))));
typedef double DoubleVec __attribute__((vector_size(kLanes * sizeof(double))));
typedef std::int32_t IntVec __attribute__((vector_size(kLanes * sizeof(float))));
typedef std::uint32_t BitsVec __attribute__((vector_size(kLanes * sizeof(float))));
typedef std::uint16_t HalfVec __attribute__((vector_size(kLanes * sizeof(std::uint16_t))));

/// All lanes `value`. Written out, and not as Vec{} + value: that is an addition for the compiler
/// (-0 + 0 is +0), and then a shuffle on a port that the multiply-adds need; this is a broadcasting
/// load.
inline Vec splat(float value) {
  const float v = value;
  return Vec{v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v};
}

inline Vec load(const float* from) {
  Vec v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

inline void store(float* to, Vec v) {
  std::memcpy(to, &v, sizeof v);
}

/// 16 bfloat16 values widened.
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
  const std::uint32_t wide = std::uint32_t{bits} << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

/// Nearest bfloat16 value, ties to even; finite input.
inline float rounded(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  bits = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000u;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline float rounded_if(float value, bool round) {
  return round ? rounded(value) : value;
}

inline void narrow(float value, float& to) {
  to = value;
}
inline void narrow(float value, std::uint16_t& to) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  to = static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
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

/// acc[MR][32] = a[MR, k] times panel[k][32], each element one chain of multiply-adds from 0.
template <int MR, class W>
inline void multiply_tile(
    const float* a, std::int64_t lda, const W* panel, std::int64_t k, float* acc) {
  Vec left[MR] = {}, right[MR] = {};
  for (std::int64_t i = 0; i < k; ++i) {
    const Vec b0 = load(panel + i * kPanelWidth), b1 = load(panel + i * kPanelWidth + kLanes);
#pragma GCC unroll 16
    for (int m = 0; m < MR; ++m) {
      const Vec x = splat(a[m * lda + i]);
      left[m] += x * b0;
      right[m] += x * b1;
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < MR; ++m) {
    store(acc + m * kPanelWidth, left[m]);
    store(acc + m * kPanelWidth + kLanes, right[m]);
  }
}

#if defined(__AVX512F__)
constexpr int kTileRows = 12;
#else
constexpr int kTileRows = 3;
#endif

/// `rows` <= kTileRows rows of `multiply_tile`.
template <class W>
inline void multiply_rows(
    int rows, const float* a, std::int64_t lda, const W* panel, std::int64_t k, float* acc) {
  int done = 0;
#if defined(__AVX512F__)
  if (rows == 12) return multiply_tile<12>(a, lda, panel, k, acc);
  if (rows - done >= 8) {
    multiply_tile<8>(a, lda, panel, k, acc);
    done = 8;
  }
  if (rows - done >= 4) {
    multiply_tile<4>(a + done * lda, lda, panel, k, acc + done * kPanelWidth);
    done += 4;
  }
#endif
  if (rows - done == 3)
    return multiply_tile<3>(a + done * lda, lda, panel, k, acc + done * kPanelWidth);
  if (rows - done == 2)
    return multiply_tile<2>(a + done * lda, lda, panel, k, acc + done * kPanelWidth);
  if (rows - done == 1)
    return multiply_tile<1>(a + done * lda, lda, panel, k, acc + done * kPanelWidth);
}

}  // namespace
}  // namespace rubato
