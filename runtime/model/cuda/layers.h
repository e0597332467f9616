#pragma once

#include "runtime/model/cuda/context.h"
#include "runtime/model/cuda/pass_lists.h"

namespace rubato::cuda {

/// The lists of a pass where the GPU finds them.
struct DevicePass {
  const std::int32_t *cache_rows, *positions, *tokens, *eligible_rows, *eligible_cache_rows,
      *eligible_out;
  const QueryTile *tiles, *last_tiles;
};

/// How many of a pass's rows are in a layer: all but those of sequences that join later.
struct LayerRows {
  int rows = 0;
  int projected = 0;  ///< the first ones; the projections of those who join here are in the cache
  int tiles = 0;
};

/// What the rows of a pass held in Q and K before it wrote them; q null: not kept. Layer b's begin
/// b % layers * stride elements after `q` and `k`.
struct OldRows {
  void* q = nullptr;
  void* k = nullptr;
  int layers = 0;
  std::int64_t stride = 0;
};

/// The network's layers over the rows of a pass, and the scratch for the largest. A pass is
/// `upload`, then `embed`, `run` for each layer, `keep_eligible`. Engine thread only.
class Layers {
 public:
  /// rows: the most that a pass has. Throws OutOfMemory.
  Layers(Context& context, std::int64_t rows);

  /// Adds the lists to the plan.
  DevicePass upload(const PassLists& lists);

  void embed(const DevicePass& pass, int rows);
  /// The hidden inputs of layer b of the sequence of `part`, from the caches.
  void gather_hidden(int b, std::int64_t slot_begin, const PassPart& part);
  void run(int b,
           const PassLists& lists,
           const DevicePass& pass,
           const LayerRows& layer,
           const OldRows& old);
  /// Writes the outputs of the eligible rows to their places in `window_hidden`,
  /// [eligible rows of all sequences, d_model].
  void keep_eligible(const PassLists& lists, const DevicePass& pass, void* window_hidden);

  /// [layers, rows, local heads]: the log-sum-exp of the pass's attention.
  const float* lse() { return lse_.as<float>(0); }

  /// The bytes of GPU memory that it takes, without those that Context counts.
  static std::int64_t scratch_bytes(const ModelShape& shape, std::int64_t rows);

 private:
  void check_room(const PassLists& lists);
  void project(int b, const DevicePass& pass, int rows, const OldRows& old);
  void attend(int b, const PassLists& lists, const DevicePass& pass, int tiles);
  int add_attention(int b, const PassLists& lists, const DevicePass& pass, int rows);
  void mlp(int b, int rows);
  void row_parallel(const void* x, DeviceMatrix& weight, int rows, int first_row);

  Context& context_;
  const ModelShape& shape_;
  Memory cos_, sin_;  // [max_positions, head_dim / 2]
  Memory hidden_;     // [rows, d_model]: the residual stream
  Memory compact_;    // [eligible rows, d_model]: after the last layer's attention
  Memory normed_;     // [rows, d_model]
  Memory qkv_;        // [rows, 3 * local_head_width]
  Memory attended_;   // [rows, local_head_width]
  Memory partial_;    // [rows, d_model] of float: what is still to be added to hidden_
  Memory split_out_, split_stats_;  // of Attention
  Memory gate_up_, activation_;     // [rows of a band, 2 * local_mlp_width and local_mlp_width]
  Memory lse_;
  Memory gathered_x_;  // [tp, rows, local_hidden_width]
};

}  // namespace rubato::cuda
