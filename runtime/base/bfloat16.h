#pragma once

#include <bit>
#include <cstdint>

namespace rubato {

// Always inlined: a kernel is compiled once per instruction set, and no copy of these may be
// shared.

/// The bits of the nearest bfloat16 value, ties to even; a NaN stays one.
[[gnu::always_inline]] constexpr std::uint16_t to_bfloat16(float value) {
  // Without branches, so that loops over values are vectorised.
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const std::uint32_t quiet_nan = (bits >> 16) | 0x0040u;
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  return static_cast<std::uint16_t>(is_nan ? quiet_nan : rounded);
}

[[gnu::always_inline]] constexpr float from_bfloat16(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

}  // namespace rubato
