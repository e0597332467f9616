#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace rubato {

/// A histogram. `kBounds` are the upper bounds of its buckets, inclusive.
template <const auto& kBounds>
struct HistogramCounts {
  std::array<std::uint64_t, kBounds.size() + 1> counts{};  ///< [i]: at most kBounds[i]; last: above
  double sum = 0;                                          ///< of all observed values

  void observe(double value) {
    ++counts[std::ranges::lower_bound(kBounds, value) - kBounds.begin()];
    sum += value;
  }

  HistogramCounts& operator+=(const HistogramCounts& other) {
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
    sum += other.sum;
    return *this;
  }

  bool operator==(const HistogramCounts&) const = default;
};

inline constexpr std::array kBoundaryBounds{0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 32.0, 48.0, 64.0};
inline constexpr std::array kSimilarityBounds{
    0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99, 1.0};
inline constexpr std::array kCommitsBounds{1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0};
inline constexpr std::array kQueueSecondsBounds{
    0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0};

/// What an engine has done since it started. A step counts once for each sequence that takes part.
struct EngineCounters {
  std::uint64_t prompt_tokens = 0;      ///< of admitted generations, suffixes included
  std::uint64_t generation_tokens = 0;  ///< committed
  std::uint64_t forward_passes = 0;
  std::uint64_t rows_computed = 0;  ///< token rows pushed through a layer, summed over layers
  std::uint64_t refreshes = 0;      ///< forward passes that refreshed at least one layer
  std::uint64_t layers_refreshed = 0;
  HistogramCounts<kBoundaryBounds> boundaries;         ///< first layer refreshed, where one was
  HistogramCounts<kSimilarityBounds> similarities;     ///< of each layer tested
  HistogramCounts<kCommitsBounds> commits;             ///< of each forward pass
  HistogramCounts<kQueueSecondsBounds> queue_seconds;  ///< from submission to admission

  EngineCounters& operator+=(const EngineCounters& other) {
    prompt_tokens += other.prompt_tokens;
    generation_tokens += other.generation_tokens;
    forward_passes += other.forward_passes;
    rows_computed += other.rows_computed;
    refreshes += other.refreshes;
    layers_refreshed += other.layers_refreshed;
    boundaries += other.boundaries;
    similarities += other.similarities;
    commits += other.commits;
    queue_seconds += other.queue_seconds;
    return *this;
  }

  bool operator==(const EngineCounters&) const = default;
};

}  // namespace rubato
