#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

namespace rubato::testing::reference {

/// How near the closest of some decisions was to falling otherwise: where two computations that
/// differ in rounding disagree, it must be tiny.
class Margin {
 public:
  /// Two numbers were compared: logits, similarities.
  void compared(double a, double b) { note(std::abs(a - b)); }

  /// Two sums of attention were compared. Two exact zeros are no matter of rounding.
  void compared_masses(double a, double b) {
    if (a != 0 || b != 0) note(std::abs(a - b) / std::max(a, b));
  }

  /// Two probabilities were compared. Near 1 it is what they lack of 1 that carries the precision,
  /// down to what float64 can hold.
  void compared_probabilities(double a, double b) {
    constexpr double kRounding = 1e-15;
    const double gap = std::abs(a - b);
    note(gap < kRounding ? 0 : gap / (1 - std::max(a, b) + kRounding));
  }

  double least() const { return least_; }

 private:
  void note(double gap) { least_ = std::min(least_, gap); }

  double least_ = std::numeric_limits<double>::infinity();
};

}  // namespace rubato::testing::reference
