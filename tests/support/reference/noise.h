#pragma once

#include <array>
#include <cstdint>

#include "cache/types.h"

namespace rubato::testing::reference {

using Words = std::array<std::uint32_t, 4>;

/// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; SC
/// 2011).
Words philox(Words counter, std::array<std::uint32_t, 2> key);

/// -log(-log u), u = (word + 1/2) / 2^32: word token % 4 of Philox under the key `seed` at the
/// counter (token / 4, position, step, 0).
double gumbel(std::uint64_t seed, int step, Position position, TokenId token);

}  // namespace rubato::testing::reference
