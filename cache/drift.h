#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "cache/policy.h"

namespace rubato {

/// How many floats a layer's drift sums take in `Model::reduce`, for `num_tracked` rows over
/// `canvas_length` keys (docs/algorithm.md, "Drift"):
/// - `heads`: [3, num_tracked, canvas_length], the sums over heads of old·new, old², new²;
/// - `rows`: one number, the sum over heads and tracked rows of the cosine (all keys of a row are
/// on one rank).
std::int64_t drift_sums_size(DriftMeasure measure, int num_tracked, Position canvas_length);

/// The most bytes that a step's drift test takes on a rank, for each pair of a tracked row and a
/// key: three sums per layer, kept until the ranks have added them up, and, for one layer at a
/// time, the probabilities before and after of each of the rank's heads.
constexpr std::int64_t drift_bytes_per_pair(int num_layers, int local_heads) {
  return static_cast<std::int64_t>(sizeof(float)) * (3 * num_layers + 2 * local_heads);
}

/// A layer's similarity from its reduced drift sums, laid out as above. `num_heads` counts all
/// ranks' heads.
double drift_similarity(DriftMeasure measure,
                        std::span<const float> sums,
                        int num_tracked,
                        Position canvas_length,
                        int num_heads);

/// One head's part of the `rows` measure: the sum over tracked rows of the cosine of their
/// attention, [num_tracked, keys] row-major, before and after.
double sum_of_row_cosines(std::span<const float> before,
                          std::span<const float> after,
                          int num_tracked);

/// cos(a, b) from a·b, |a|², |b|², each norm clamped to 1e-8 on its own.
double clamped_cosine(double dot, double norm_a_squared, double norm_b_squared);

/// The first layer to refresh: one past the lowest layer whose similarity is below `gamma`. None
/// if no layer has drifted, or only the last one, which no layer follows.
std::optional<int> drift_boundary(std::span<const double> similarity, double gamma);

}  // namespace rubato
