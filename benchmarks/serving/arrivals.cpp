#include "benchmarks/serving/arrivals.h"

#include <cmath>
#include <random>

namespace rubato {

std::vector<double> poisson_arrivals(double rate, int count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<double> times;
  double now = 0;
  for (int i = 0; i < count; ++i) {
    times.push_back(now);
    // Not std::exponential_distribution, whose numbers are the library's own affair.
    const double uniform = static_cast<double>(random() >> 11) * 0x1p-53;  // [0, 1)
    now -= std::log1p(-uniform) / rate;
  }
  return times;
}

}  // namespace rubato
