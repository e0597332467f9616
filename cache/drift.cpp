#include "cache/drift.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/base/check.h"

namespace rubato {

std::int64_t drift_sums_size(DriftMeasure measure, int num_tracked, Position canvas_length) {
  switch (measure) {
    case DriftMeasure::kHeads:
      return std::int64_t{3} * num_tracked * canvas_length;
    case DriftMeasure::kRows:
      return 1;
  }
  return 0;
}

double clamped_cosine(double dot, double norm_a_squared, double norm_b_squared) {
  constexpr double kLeastSquared = 1e-16;
  return dot / std::sqrt(std::max(norm_a_squared, kLeastSquared) *
                         std::max(norm_b_squared, kLeastSquared));
}

namespace {

/// The sum of the pairs' cosines, in eight partial sums so that the CPU can work on several at
/// once.
double sum_of_cosines(std::span<const float> dot,
                      std::span<const float> old_squared,
                      std::span<const float> new_squared) {
  constexpr std::size_t kSums = 8;
  double sums[kSums] = {};
  std::size_t i = 0;
  for (; i + kSums <= dot.size(); i += kSums) {
    for (std::size_t j = 0; j < kSums; ++j)
      sums[j] += clamped_cosine(dot[i + j], old_squared[i + j], new_squared[i + j]);
  }
  for (; i < dot.size(); ++i) sums[0] += clamped_cosine(dot[i], old_squared[i], new_squared[i]);
  return std::accumulate(std::begin(sums), std::end(sums), 0.0);
}

}  // namespace

double drift_similarity(DriftMeasure measure,
                        std::span<const float> sums,
                        int num_tracked,
                        Position canvas_length,
                        int num_heads) {
  RUBATO_CHECK(std::ssize(sums) == drift_sums_size(measure, num_tracked, canvas_length));
  if (measure == DriftMeasure::kRows)
    return static_cast<double>(sums[0]) / (static_cast<double>(num_heads) * num_tracked);
  const std::size_t pairs = sums.size() / 3;
  const double total =
      sum_of_cosines(sums.first(pairs), sums.subspan(pairs, pairs), sums.last(pairs));
  return total / static_cast<double>(pairs);
}

double sum_of_row_cosines(std::span<const float> before,
                          std::span<const float> after,
                          int num_tracked) {
  const std::size_t keys = before.size() / num_tracked;
  double sum = 0;
  for (std::size_t begin = 0; begin < before.size(); begin += keys) {
    double dot = 0, before_squared = 0, after_squared = 0;
    for (std::size_t i = begin; i < begin + keys; ++i) {
      dot += double{before[i]} * after[i];
      before_squared += double{before[i]} * before[i];
      after_squared += double{after[i]} * after[i];
    }
    sum += clamped_cosine(dot, before_squared, after_squared);
  }
  return sum;
}

std::optional<int> drift_boundary(std::span<const double> similarity, double gamma) {
  const auto drifted =
      std::ranges::find_if(similarity, [gamma](double value) { return value < gamma; });
  const auto boundary = drifted - similarity.begin() + 1;
  if (boundary >= std::ssize(similarity)) return std::nullopt;
  return static_cast<int>(boundary);
}

}  // namespace rubato
