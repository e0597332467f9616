#pragma once

#include <array>
#include <cstdint>

#include "cache/types.h"

namespace rubato {

/// Philox4x32-10 (Salmon et al., SC 2011): four random words from a counter and a key, without
/// state.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key);

/// Standard Gumbel noise that depends only on its arguments, not on the number of ranks or the
/// batch. Counter (vocabulary id / 4, position, step, 0), key `seed`; word id % 4 gives
/// u = (word + 1/2) / 2^32.
/// Never above kMostGumbelNoise.
double gumbel_noise(std::uint64_t seed, int step, Position position, TokenId token);

inline constexpr double kMostGumbelNoise = 23;  // -log(-log(1 - 2^-33)) is 22.87

}  // namespace rubato
