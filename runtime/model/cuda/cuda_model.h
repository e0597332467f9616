#pragma once

#include <vector>

#include "parallel/cuda/device_communicator.h"
#include "runtime/model/cuda/device_cache.h"
#include "runtime/model/cuda/device_plan.h"
#include "runtime/model/cuda/device_weights.h"
#include "runtime/model/cuda/fetched_rows.h"
#include "runtime/model/cuda/gemm.h"
#include "runtime/model/cuda/pass_lists.h"
#include "runtime/model/cuda/row_questions.h"
#include "runtime/model/cuda/sum_lists.h"
#include "runtime/model/model.h"
#include "runtime/model/vocabulary_statistics.h"

namespace rubato::cuda {

/// The network on this rank's GPU, over caches in its memory. Work is enqueued on one stream and
/// waited for twice a step: in `reduce`, where a drift test must be decided, and in `candidates`.
/// `host` carries what only rows with top_p or top_k exchange. Engine thread only.
class CudaModel final : public Model {
 public:
  CudaModel(const ModelShape& shape,
            DeviceWeights& weights,
            DeviceCache& cache,
            Communicator& host,
            DeviceCommunicator& device,
            Stream stream);

  const ModelShape& shape() const override { return shape_; }
  void reuse_pass(std::span<const StepSequence> sequences) override;
  std::vector<std::vector<double>> reduce(std::span<const StepSequence> sequences) override;
  void refresh(std::span<const StepSequence> sequences, std::span<const int> boundaries) override;
  void compute_logits(std::span<const StepSequence> sequences) override;
  std::vector<std::vector<Candidate>> candidates(std::span<const StepSequence> sequences,
                                                 TokenId mask_id) override;
  std::span<const float> attention_mass(int sequence) override;

  /// Bytes that a rank needs besides weights and caches, for up to `cache_rows` rows in a step.
  static std::int64_t scratch_bytes(const ModelShape& shape, std::int64_t cache_rows);

 private:
  /// The lists of a pass where the GPU finds them.
  struct DevicePass {
    const std::int32_t *cache_rows, *positions, *tokens, *eligible_rows, *eligible_cache_rows,
        *eligible_out;
    const QueryTile *tiles, *last_tiles;
  };

  DevicePass upload(const PassLists& lists);
  void reserve(const PassLists& lists);
  void embed(const DevicePass& pass, int rows);
  void layer(int b, const PassLists& lists, const DevicePass& pass, int parts, int joined);
  void project(int b, const DevicePass& pass, int rows);
  void attend(int b, const PassLists& lists, const DevicePass& pass, int parts);
  int add_attention(int b, const PassLists& lists, const DevicePass& pass, int rows);
  void mlp(int b, int rows);
  void row_parallel(const void* x, Memory& weight, int rows, std::int64_t k, int first_row);
  void gather_hidden(int b, const StepSequence& sequence, const PassPart& part);
  void keep_eligible(const PassLists& lists, const DevicePass& pass);
  SumTask sum_task(const SumLists& lists, bool with_drift);
  void sum_layers(SumTask task, int first_layer, int num_layers);
  void copy(void* to, const void* from, std::int64_t bytes, int kind);
  void wait();

  const ModelShape shape_;
  const Element element_;
  DeviceWeights& weights_;
  DeviceCache& cache_;
  DeviceCommunicator& device_;
  const Stream stream_;
  Gemm gemm_;
  VocabularyStatistics vocabulary_;
  DevicePlan plan_;
  SumLists sums_;  // of the step's reuse pass, with the layout of all sums
  SumTask sum_task_;
  int kept_layers_ = 0;  // whose old rows are kept before their sums are made

  Memory cos_, sin_;    // [max_positions, head_dim / 2]
  Memory row_of_;       // [capacity]: mark_rows' map, -1 between passes
  Memory hidden_;       // [rows, d_model]: the residual stream
  Memory compact_;      // [eligible rows, d_model]: the same after the last layer's attention
  Memory normed_;       // [rows, d_model]
  Memory qkv_;          // [rows, 3 * local_head_width]
  Memory attended_;     // [rows, local_head_width]
  Memory partial_;      // [rows, d_model] of float: what is still to be added to hidden_
  Memory split_parts_;  // Attention::partial
  Memory gate_up_, activation_;  // [rows of a band, 2 * local_mlp_width and local_mlp_width]
  Memory lse_;                   // [layers, rows, heads]
  Memory old_q_, old_k_;         // [kept layers, rows, local_head_width]
  Memory old_lse_;               // [layers, tracked rows, heads]
  Memory device_sums_;           // SumLists' layout
  Memory similarity_, host_similarity_{Memory::Place::kPinned};  // [jobs, layers]
  Memory gathered_x_;                                            // [tp, rows, local_hidden_width]
  Memory window_hidden_;  // [eligible rows of all sequences, d_model]: what the head reads
  Memory logits_;         // [eligible rows, local_vocabulary] of float
  Memory changes_, host_changes_{Memory::Place::kPinned};
  Memory vocabulary_scratch_, numbers_, all_numbers_;
  Memory host_numbers_{Memory::Place::kPinned}, host_sums_{Memory::Place::kPinned};
  FetchedRows host_logits_;
};

}  // namespace rubato::cuda
