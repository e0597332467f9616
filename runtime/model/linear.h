#pragma once

#include <cstdint>
#include <functional>

#include "runtime/model/kernels/kernels.h"
#include "runtime/model/weight_memory.h"

namespace rubato {

/// Reads rows [begin, end) of a matrix into `out`, row-major. Weights are read a few rows at a
/// time, so that loading takes next to no memory besides the weights; by several threads at once.
using RowReader = std::function<void(std::int64_t begin, std::int64_t end, float* out)>;

/// The weights of y = x W^T on this rank, packed for the kernels; owns them. `apply` is const and
/// may run on any one thread at a time (it spreads over the intra-op threads itself).
class Linear {
 public:
  /// Reads the rows of W, [n, k], through `read`; with bfloat16 `storage` they are rounded.
  /// `groups` divides k: see PackedWeights.
  Linear(std::int64_t n, std::int64_t k, Storage storage, int groups, const RowReader& read);

  /// y[rows, n] = x[rows, k] W^T, float32 sums, not rounded.
  void apply(const float* x, std::int64_t rows, float* y) const;

  std::int64_t n() const { return packed_.n; }
  std::int64_t k() const { return packed_.k; }
  std::int64_t bytes() const;

 private:
  WeightMemory memory_;
  PackedWeights packed_;
};

/// The number of equal parts into which the whole k of a row-parallel linear is cut, so that the
/// sums over k form the same binary tree at tensor-parallel sizes 1, 2, 4 and 8: the largest power
/// of two <= 8 that divides k.
int reduction_groups(std::int64_t k);

/// How many of these parts each of `tp_size` ranks adds up: at least one, its whole share of k.
int local_groups(std::int64_t whole_k, int tp_size);

}  // namespace rubato
