#pragma once

#include <cstdint>
#include <vector>

#include "runtime/checkpoint/tensor_view.h"

namespace rubato {

/// Weights of 8 bits: float8 e4m3fn (no infinities, at most 448), times a power of two for each
/// output channel, that is for each row of a [out, in] tensor. A power of two costs a bit of range
/// at most and no precision, and what is stored is a bfloat16 number too: every kernel that takes
/// bfloat16 or float32 weights computes with exactly these. Source of the format: arXiv 2209.05433.
///
/// The scale that brings `largest`, the greatest magnitude of a row, as near to 448 as it goes; 1
/// for 0.
float float8_scale(float largest);

/// value / scale in float8, to nearest, ties to even. |value| <= 448 * scale.
std::uint8_t to_float8(float value, float scale);

float from_float8(std::uint8_t bits, float scale);

/// The scales of some rows of a tensor, which are those of whole rows: a rank that holds some of
/// their columns rounds as the rank that holds all.
std::vector<float> float8_scales(const TensorView& tensor, IndexRange rows);

}  // namespace rubato
