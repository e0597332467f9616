#include "runtime/model/float8.h"

#include <c10/util/Float8_e4m3fn.h>

#include <algorithm>
#include <cmath>

namespace rubato {
namespace {

constexpr float kLargestFraction = 0.875f;  // 448 = 0.875 * 2^9
constexpr int kLargestExponent = 9;

}  // namespace

float float8_scale(float largest) {
  if (largest == 0) return 1;
  int exponent = 0;
  const float fraction = std::frexp(largest, &exponent);
  exponent -= kLargestExponent;
  return std::ldexp(1.0f, fraction > kLargestFraction ? exponent + 1 : exponent);
}

std::uint8_t to_float8(float value, float scale) {
  return c10::detail::fp8e4m3fn_from_fp32_value(value / scale);
}

float from_float8(std::uint8_t bits, float scale) {
  return c10::detail::fp8e4m3fn_to_fp32_value(bits) * scale;
}

std::vector<float> float8_scales(const TensorView& tensor, IndexRange rows) {
  std::vector<float> scales, row(tensor.cols);
  for (std::int64_t i = rows.begin; i < rows.end; ++i) {
    copy_slice(tensor, {{i, i + 1}, {0, tensor.cols}}, row.data());
    float largest = 0;
    for (const float value : row) largest = std::max(largest, std::abs(value));
    scales.push_back(float8_scale(largest));
  }
  return scales;
}

}  // namespace rubato
