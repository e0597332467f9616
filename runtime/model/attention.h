#pragma once

#include <vector>

#include "cache/store/cache_store.h"
#include "runtime/model/attention_sums.h"
#include "runtime/model/buffer.h"
#include "runtime/model/row_pass.h"
#include "runtime/model/weights.h"

namespace rubato {

/// Attention of this rank's heads over the cached Q, K and V. Engine thread only.
class Attention {
 public:
  Attention(const ModelShape& shape, CacheStore& cache) : shape_(shape), cache_(cache) {}

  /// Writes the pass's new rows of a layer into its caches, then attends from the rows that are
  /// needed (`attended_rows`) to all keys of their sequences. qkv: [new rows, 3 *
  /// local_head_width]; out: [pass rows, local_head_width], where each sequence's attended rows
  /// come first among its rows. The inputs of drift test and tracking are summed over this rank's
  /// heads into `sums`.
  void run(int layer, const RowPass& pass, const float* qkv, float* out, AttentionSums& sums);

  /// The canvas positions that a layer attends from. In the last layer these are only the eligible
  /// ones, whose output is read, and a reuse pass's tracked rows, whose attention is needed.
  std::span<const Position> attended_rows(int layer,
                                          const RowPass& pass,
                                          const PassSequence& packed) const;

 private:
  struct Work;
  HeadTask head_task(const Work& work, const PassSequence& packed, int head, float* sums) const;
  std::int64_t head_sums_size(const PassSequence& packed) const;
  void sum_heads(int layer,
                 const PassSequence& packed,
                 const float* head_sums,
                 AttentionSums& sums);
  void sum_drift(const PassSequence& packed,
                 const float* p_old,
                 const float* p_new,
                 std::span<float> drift);

  const ModelShape shape_;
  CacheStore& cache_;
  std::vector<std::int64_t> sums_begin_;  // by sequence of the pass, in head_sums_
  std::vector<float> cosines_;            // by head, of the `rows` drift measure
  Buffer head_sums_;                      // per head: mass, then p_old, p_new of the tracked rows
  Buffer scratch_;                        // per thread
};

}  // namespace rubato
