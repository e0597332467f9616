#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "runtime/model/kernels/kernels.h"

namespace rubato {

/// The weights of y = x W^T on this rank, packed for the kernels; owns them. `apply` is const and
/// may run on any one thread at a time (it spreads over the intra-op threads itself).
class Linear {
 public:
  /// w: [n, k] row-major; `storage` bfloat16 keeps the values' upper halves (they are bfloat16
  /// values already, or are rounded). `groups` divides k: see PackedWeights.
  Linear(std::span<const float> w, std::int64_t n, std::int64_t k, Storage storage, int groups = 1);

  /// y[rows, n] = x[rows, k] W^T, float32 sums, not rounded.
  void apply(const float* x, std::int64_t rows, float* y) const;

  std::int64_t n() const { return packed_.n; }
  std::int64_t k() const { return packed_.k; }
  std::int64_t bytes() const;

 private:
  struct Free {
    void operator()(void* memory) const;
  };
  std::unique_ptr<void, Free> memory_;
  PackedWeights packed_;
};

/// Equal parts into which a row-parallel linear's whole k is cut, so that the sums over k make the
/// same binary tree at tensor-parallel sizes 1, 2, 4 and 8: the largest power of two <= 8 that
/// divides k.
int reduction_groups(std::int64_t k);

}  // namespace rubato
