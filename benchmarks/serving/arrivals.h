#pragma once

#include <cstdint>
#include <vector>

namespace rubato {

/// When `count` requests of a Poisson process with `rate` a second arrive: seconds from 0 on,
/// ascending, the first at 0. The same for the same seed, on any machine.
std::vector<double> poisson_arrivals(double rate, int count, std::uint64_t seed);

}  // namespace rubato
