#pragma once

#include <span>
#include <vector>

#include "cache/store/cache_store.h"
#include "parallel/communicator.h"
#include "runtime/model/attention.h"
#include "runtime/model/attention_sums.h"
#include "runtime/model/buffer.h"
#include "runtime/model/hidden_cache.h"
#include "runtime/model/model.h"
#include "runtime/model/rotary.h"
#include "runtime/model/row_pass.h"
#include "runtime/model/step_sequence.h"
#include "runtime/model/vocabulary_statistics.h"
#include "runtime/model/weights.h"

namespace rubato {

/// The network on this machine's processors, over caches in its memory. Engine thread only.
class CpuModel final : public Model {
 public:
  CpuModel(const ModelShape& shape,
           const ModelWeights& weights,
           CacheStore& cache,
           Communicator& communicator);

  const ModelShape& shape() const override { return shape_; }
  void reuse_pass(std::span<const StepSequence> sequences) override;
  std::vector<std::vector<double>> reduce(std::span<const StepSequence> sequences) override;
  void refresh(std::span<const StepSequence> sequences, std::span<const int> boundaries) override;
  void compute_logits(std::span<const StepSequence> sequences) override;
  std::vector<std::vector<Candidate>> candidates(std::span<const StepSequence> sequences,
                                                 TokenId mask_id) override;
  std::span<const float> attention_mass(int sequence) override { return sums_.all_mass(sequence); }

 private:
  void layer(int layer, RowPass& pass);
  void project(int layer, const RowPass& pass, std::int64_t rows);
  void mlp(int layer, std::int64_t rows);
  void row_parallel(const Linear& linear, const float* x, std::int64_t rows);

  void embed(const RowPass& pass, std::int64_t first_row);
  void keep_eligible_rows(const RowPass& pass);
  void drop_to_eligible(RowPass& pass);
  void reduce_refreshed_mass(std::span<const StepSequence> sequences,
                             std::span<const int> boundaries);

  const ModelShape shape_;
  const ModelWeights& weights_;
  Communicator& communicator_;
  const RotaryTable rotary_;
  Attention attention_;
  HiddenCache hidden_cache_;
  VocabularyStatistics vocabulary_;
  AttentionSums sums_;
  RowPass pass_;                  // under way
  std::vector<Position> kept_;    // the rows that the last layer leaves of it
  std::vector<int> window_rows_;  // by sequence: its first row in window_hidden_
  Buffer hidden_;                 // [rows, d_model]: the residual stream
  Buffer normed_;                 // [rows, d_model]
  Buffer qkv_;                    // [rows, 3 * local_head_width]
  Buffer attended_;               // [rows, local_head_width]: attention's output
  Buffer compact_;                // [eligible rows, local_head_width]
  Buffer gate_up_;                // [rows, 2 * local_mlp_width]
  Buffer activation_;             // [rows, local_mlp_width]
  Buffer partial_;        // [rows, d_model]: a row-parallel linear's output before its all-reduce
  Buffer window_hidden_;  // [eligible rows of all sequences, d_model]: what the head reads
  Buffer mass_exchange_;  // the refreshed layers' mass
  Buffer logits_;         // [eligible rows, local_vocabulary]
};

}  // namespace rubato
