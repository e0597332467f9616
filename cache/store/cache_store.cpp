#include "cache/store/cache_store.h"

#include <ATen/ops/empty.h>

namespace rubato {

std::int64_t CacheShape::bytes_per_token() const {
  return std::int64_t{num_layers} * (hidden_width + 3 * head_width) * (bfloat16 ? 2 : 4);
}

CacheStore::CacheStore(const CacheShape& shape)
    : shape_(shape), element_size_(shape.bfloat16 ? 2 : 4) {
  const auto make = [&](int width) {
    return at::empty({shape.num_layers, shape.capacity, width},
                     shape.bfloat16 ? at::kBFloat16 : at::kFloat);
  };
  x_ = make(shape.hidden_width);
  q_ = make(shape.head_width);
  k_ = make(shape.head_width);
  v_ = make(shape.head_width);
}

void* CacheStore::at(const at::Tensor& cache, int layer, std::int64_t row, int width) const {
  return static_cast<std::byte*>(cache.data_ptr()) +
         (layer * shape_.capacity + row) * width * element_size_;
}

}  // namespace rubato
