#pragma once

#include "cache/store/cache_store.h"
#include "runtime/model/cuda/device_memory.h"
#include "runtime/model/cuda/kernels.h"

namespace rubato::cuda {

/// One rank's caches in its GPU's memory, laid out as a CacheStore: [layers, capacity, width] of X,
/// Q, K and V, a sequence's slot being the same rows in each. Taken whole at the start, so that
/// running out of memory is found out then. Engine thread only.
class DeviceCache {
 public:
  explicit DeviceCache(const CacheShape& shape)
      : shape_(shape), element_size_(shape.bfloat16 ? 2 : 4) {
    x_.bytes(bytes(shape.hidden_width));
    for (Memory* memory : {&q_, &k_, &v_}) memory->bytes(bytes(shape.head_width));
  }

  const CacheShape& shape() const { return shape_; }

  CacheLayer x(int layer) { return at(x_, layer, shape_.hidden_width); }
  CacheLayer q(int layer) { return at(q_, layer, shape_.head_width); }
  CacheLayer k(int layer) { return at(k_, layer, shape_.head_width); }
  CacheLayer v(int layer) { return at(v_, layer, shape_.head_width); }

  /// A row of a layer's X.
  void* x_row(int layer, std::int64_t row) {
    return static_cast<std::byte*>(x(layer).data) + row * shape_.hidden_width * element_size_;
  }

 private:
  std::size_t bytes(std::int64_t width) const {
    return static_cast<std::size_t>(shape_.num_layers * shape_.capacity * width * element_size_);
  }
  CacheLayer at(Memory& memory, int layer, std::int64_t width) {
    return {memory.as<std::byte>(0) + layer * shape_.capacity * width * element_size_, width};
  }

  CacheShape shape_;
  std::int64_t element_size_;
  Memory x_, q_, k_, v_;
};

}  // namespace rubato::cuda
