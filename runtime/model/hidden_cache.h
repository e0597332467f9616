#pragma once

#include "cache/store/cache_store.h"
#include "parallel/communicator.h"
#include "runtime/model/buffer.h"
#include "runtime/model/row_pass.h"
#include "runtime/model/weights.h"

namespace rubato {

/// The cached hidden inputs X of the layers; each rank stores its columns. Engine thread
/// only.
class HiddenCache {
 public:
  HiddenCache(const ModelShape& shape, CacheStore& cache, Communicator& communicator)
      : shape_(shape), cache_(cache), communicator_(communicator) {}

  /// Stores this rank's columns of the first `rows` rows of hidden, [pass rows, d_model].
  void store(int layer, const RowPass& pass, std::int64_t rows, const float* hidden);

  /// Gathers all rows of a sequence, as last stored, from all ranks into out, [canvas_length,
  /// d_model].
  void gather(int layer, const StepSequence& sequence, float* out);

 private:
  const ModelShape shape_;
  CacheStore& cache_;
  Communicator& communicator_;
  Buffer mine_;      // [rows, local_hidden_width]
  Buffer gathered_;  // [tp, rows, local_hidden_width]
};

}  // namespace rubato
