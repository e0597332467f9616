#include "benchmarks/common/statistics.h"

#include <algorithm>
#include <cmath>

#include "runtime/base/check.h"

namespace rubato {

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Interval wilson_interval(int hits, int trials) {
  if (trials == 0) return {};
  constexpr double z = 1.959963984540054;  // the normal distribution's 97.5 % point
  const double n = trials;
  const double share = hits / n;
  const double scale = 1 + z * z / n;
  const double middle = (share + z * z / (2 * n)) / scale;
  const double reach = z / scale * std::sqrt(share * (1 - share) / n + z * z / (4 * n * n));
  return {std::max(0.0, middle - reach), std::min(1.0, middle + reach)};
}

std::optional<Growth> fit_growth(std::span<const double> sizes, std::span<const double> costs) {
  RUBATO_CHECK(sizes.size() == costs.size(), sizes.size(), costs.size());
  const auto n = static_cast<double>(sizes.size());
  double mean_x = 0, mean_y = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    mean_x += std::log(sizes[i]) / n;
    mean_y += std::log(costs[i]) / n;
  }
  double covariance = 0, variance = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const double x = std::log(sizes[i]) - mean_x;
    covariance += x * (std::log(costs[i]) - mean_y);
    variance += x * x;
  }
  if (!(variance > 1e-12)) return std::nullopt;
  const double exponent = covariance / variance;
  return Growth{std::exp(mean_y - exponent * mean_x), exponent};
}

}  // namespace rubato
