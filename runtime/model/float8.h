#pragma once

#include <cstdint>
#include <vector>

#include "runtime/checkpoint/tensor_view.h"

namespace rubato {

/// Weights of 8 bits: float8 e4m3fn (no infinities, at most 448), times a power of two for each
/// output channel, that is for each row of a [out, in] tensor. A power of two costs at
/// most a bit of range and no precision, and each stored value is also a bfloat16 number: kernels
/// for bfloat16 or float32 weights compute with exactly these values. Source of the format: arXiv
/// 2209.05433.
///
/// The scale that brings `largest`, the greatest magnitude of a row, as close to 448 as possible
/// without exceeding it; 1 if `largest` is 0.
float float8_scale(float largest);

/// value / scale in float8, rounded to nearest, ties to even. |value| <= 448 * scale.
std::uint8_t to_float8(float value, float scale);

float from_float8(std::uint8_t bits, float scale);

/// The scales of some rows of a tensor, taken from whole rows, so that a rank that holds only some
/// of the columns rounds like one that holds all.
std::vector<float> float8_scales(const TensorView& tensor, IndexRange rows);

}  // namespace rubato
