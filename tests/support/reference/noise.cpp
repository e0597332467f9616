#include "tests/support/reference/noise.h"

#include <cmath>

namespace rubato::testing::reference {
namespace {

std::uint32_t high(std::uint64_t product) {
  return static_cast<std::uint32_t>(product >> 32);
}
std::uint32_t low(std::uint64_t product) {
  return static_cast<std::uint32_t>(product);
}

}  // namespace

Words philox(Words counter, std::array<std::uint32_t, 2> key) {
  auto [a, b, c, d] = counter;
  for (std::uint32_t round = 0; round < 10; ++round) {
    // The key is bumped by the golden ratio and by the square root of 3 less 1.
    const std::uint32_t k0 = key[0] + round * 0x9E3779B9u, k1 = key[1] + round * 0xBB67AE85u;
    const std::uint64_t from_a = std::uint64_t{0xD2511F53} * a;
    const std::uint64_t from_c = std::uint64_t{0xCD9E8D57} * c;
    a = high(from_c) ^ b ^ k0;
    b = low(from_c);
    c = high(from_a) ^ d ^ k1;
    d = low(from_a);
  }
  return {a, b, c, d};
}

double gumbel(std::uint64_t seed, int step, Position position, TokenId token) {
  const Words words = philox({static_cast<std::uint32_t>(token / 4),
                              static_cast<std::uint32_t>(position),
                              static_cast<std::uint32_t>(step),
                              0},
                             {low(seed), high(seed)});
  const double uniform = (words[token % 4] + 0.5) / 4294967296.0;
  return -std::log(-std::log(uniform));
}

}  // namespace rubato::testing::reference
