#include "cache/drift.h"

#include <algorithm>
#include <cmath>

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
  constexpr double kLeastNorm = 1e-8;
  return dot / (std::max(std::sqrt(norm_a_squared), kLeastNorm) *
                std::max(std::sqrt(norm_b_squared), kLeastNorm));
}

double drift_similarity(DriftMeasure measure,
                        std::span<const float> sums,
                        int num_tracked,
                        Position canvas_length,
                        int num_heads) {
  RUBATO_CHECK(std::ssize(sums) == drift_sums_size(measure, num_tracked, canvas_length));
  if (measure == DriftMeasure::kRows)
    return static_cast<double>(sums[0]) / (static_cast<double>(num_heads) * num_tracked);
  const std::size_t pairs = sums.size() / 3;
  const auto dot = sums.first(pairs), old_squared = sums.subspan(pairs, pairs),
             new_squared = sums.last(pairs);
  double total = 0;
  for (std::size_t i = 0; i < pairs; ++i)
    total += clamped_cosine(dot[i], old_squared[i], new_squared[i]);
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
