#pragma once

#include "cache/store/cache_store.h"
#include "runtime/model/weights.h"

namespace rubato {

/// The caches of a rank's share of the network, for `tokens` canvas positions.
inline CacheShape cache_shape(const ModelShape& shape, std::int64_t tokens) {
  return {.num_layers = shape.num_layers,
          .capacity = tokens,
          .hidden_width = shape.local_hidden_width(),
          .head_width = shape.local_head_width(),
          .bfloat16 = shape.storage == Storage::kBFloat16};
}

}  // namespace rubato
