#pragma once

#include <optional>
#include <span>
#include <vector>

namespace rubato {

/// The middle value; the mean of the two middle ones where there is none. 0 of nothing.
double median(std::vector<double> values);

/// A share and what it may truly be, each in [0, 1].
struct Interval {
  double low = 0;
  double high = 1;

  bool operator==(const Interval&) const = default;
};

/// Wilson's 95 % interval for the share behind `hits` of `trials`: unlike the normal one it is of
/// use near 0 and 1 and for few trials. Everything where there were no trials.
Interval wilson_interval(int hits, int trials);

/// A cost that grows as factor * size ^ exponent.
struct Growth {
  double factor = 0;
  double exponent = 0;
};

/// The growth that fits best: least squares of the logarithms. Nothing, unless there are two
/// different sizes; all values are above 0.
std::optional<Growth> fit_growth(std::span<const double> sizes, std::span<const double> costs);

}  // namespace rubato
