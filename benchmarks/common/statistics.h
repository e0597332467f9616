#pragma once

#include <optional>
#include <span>
#include <vector>

namespace rubato {

/// The median; of an even number of values the mean of the two middle ones. 0 without values.
double median(std::vector<double> values);

/// A confidence interval of a share, within [0, 1].
struct Interval {
  double low = 0;
  double high = 1;

  bool operator==(const Interval&) const = default;
};

/// Wilson's 95 % interval for the share behind `hits` of `trials`: unlike the normal approximation
/// it is usable near 0 and 1 and for few trials. [0, 1] without trials.
Interval wilson_interval(int hits, int trials);

/// A cost that grows as factor * size ^ exponent.
struct Growth {
  double factor = 0;
  double exponent = 0;
};

/// The best fit, by least squares of the logarithms. Nothing unless there are two different sizes.
/// All values must be above 0.
std::optional<Growth> fit_growth(std::span<const double> sizes, std::span<const double> costs);

}  // namespace rubato
