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

/// The network on this machine's CPUs, with caches in main memory. Engine thread only.
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
  void refresh_together(std::span<const StepSequence> sequences,
                        std::span<const int> boundaries,
                        int first,
                        int end);
  void run_layer(int layer, RowPass& pass);
  void project(int layer, const RowPass& pass, std::int64_t rows);
  // Add to `rows` rows at `hidden`, in hidden_.
  void add_mlp(int layer, float* hidden, std::int64_t rows);
  void add_row_parallel(const Linear& linear, const float* x, float* hidden, std::int64_t rows);
  const float* norm(const std::vector<float>& weight, const float* hidden, std::int64_t rows);

  // Of the eligible rows [first, end) of all sequences.
  void compute_logits(int first, int end);
  int logit_rows_at_a_time() const;

  void embed(const RowPass& pass);
  void keep_eligible_rows(const RowPass& pass);
  void drop_to_eligible(RowPass& pass);
  void keep_rows(float* matrix, std::int64_t width, std::span<const std::int64_t> rows);
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
  std::vector<int> window_rows_;  // by sequence, and the end: its first row in window_hidden_
  Buffer hidden_;                 // [rows, d_model]: the residual stream
  Buffer normed_;                 // [rows at a time, d_model]
  Buffer qkv_;                    // [rows, 3 * local_head_width]
  Buffer attended_;               // [rows, local_head_width]: attention's output
  Buffer kept_;                   // [eligible rows, d_model]
  Buffer gate_up_;                // [rows at a time, 2 * local_mlp_width]
  Buffer activation_;             // [rows at a time, local_mlp_width]
  Buffer partial_;  // [rows at a time, d_model]: a row-parallel linear's output, not yet reduced
  Buffer window_hidden_;  // [eligible rows of all sequences, d_model]: what the head reads
  Buffer mass_exchange_;  // the refreshed layers' mass
  Buffer logits_;         // [logit rows at a time, local_vocabulary]
};

}  // namespace rubato
