#include "runtime/model/rotary.h"

#include <cmath>

namespace rubato {

RotaryTable::RotaryTable(const ModelShape& shape) {
  const int half = shape.head_dim() / 2;
  cos.reserve(static_cast<std::size_t>(shape.max_positions) * half);
  sin.reserve(cos.capacity());
  for (int position = 0; position < shape.max_positions; ++position) {
    for (int i = 0; i < half; ++i) {
      const auto exponent = static_cast<float>(2 * i) / static_cast<float>(shape.head_dim());
      const float inverse = 1.0f / std::pow(static_cast<float>(shape.rope_theta), exponent);
      const float angle = static_cast<float>(position) * inverse;
      cos.push_back(std::cos(angle));
      sin.push_back(std::sin(angle));
    }
  }
}

}  // namespace rubato
