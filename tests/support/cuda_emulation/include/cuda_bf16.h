#pragma once

#include <cstdint>

#include "runtime/base/bfloat16.h"

struct __nv_bfloat16 {
  std::uint16_t bits;
};

inline float __bfloat162float(__nv_bfloat16 x) {
  return rubato::from_bfloat16(x.bits);
}

inline __nv_bfloat16 __float2bfloat16_rn(float x) {
  return {rubato::to_bfloat16(x)};
}

struct __nv_bfloat162 {
  __nv_bfloat16 x, y;
};

inline __nv_bfloat162 __float2bfloat162_rn(float x) {
  return {__float2bfloat16_rn(x), __float2bfloat16_rn(x)};
}

inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
  return {__float2bfloat16_rn(x), __float2bfloat16_rn(y)};
}

inline __nv_bfloat162 __hmul2(__nv_bfloat162 a, __nv_bfloat162 b) {
  return {__float2bfloat16_rn(__bfloat162float(a.x) * __bfloat162float(b.x)),
          __float2bfloat16_rn(__bfloat162float(a.y) * __bfloat162float(b.y))};
}
