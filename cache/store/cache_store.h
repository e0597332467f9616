#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace rubato {

/// The sizes of one rank's caches.
struct CacheShape {
  int num_layers = 0;
  std::int64_t capacity = 0;  ///< rows (tokens) of all slots together
  int hidden_width = 0;       ///< this rank's columns of the hidden input, d_model / tp
  int head_width = 0;         ///< this rank's heads x head_dim
  bool bfloat16 = false;

  /// Bytes of one token's row in all layers and all four caches.
  std::int64_t bytes_per_token() const;
};

/// One rank's caches of every layer: hidden input X (before its norm), Q and K (after RoPE), V. A
/// sequence's slot is the rows [slot_begin, slot_begin + canvas_length) in each. Memory is used
/// only from the first write to a row. Engine thread only.
class CacheStore {
 public:
  explicit CacheStore(const CacheShape& shape);

  const CacheShape& shape() const { return shape_; }

  /// The first element of cache row `row` of a layer; element type float or bfloat16 bits, as the
  /// shape says.
  void* x(int layer, std::int64_t row) const { return at(x_, layer, row, shape_.hidden_width); }
  void* q(int layer, std::int64_t row) const { return at(q_, layer, row, shape_.head_width); }
  void* k(int layer, std::int64_t row) const { return at(k_, layer, row, shape_.head_width); }
  void* v(int layer, std::int64_t row) const { return at(v_, layer, row, shape_.head_width); }

 private:
  void* at(const at::Tensor& cache, int layer, std::int64_t row, int width) const;

  CacheShape shape_;
  std::int64_t element_size_;
  at::Tensor x_;          // [layers, capacity, hidden_width]
  at::Tensor q_, k_, v_;  // [layers, capacity, head_width]
};

}  // namespace rubato
