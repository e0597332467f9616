#pragma once

#include <vector>

#include "runtime/base/error.h"
#include "runtime/checkpoint/checkpoint.h"
#include "runtime/model/embedding.h"
#include "runtime/model/linear.h"

namespace rubato {

/// The sizes of the whole network and of this rank's share.
struct ModelShape {
  int d_model = 0;
  int num_layers = 0;
  int num_heads = 0;
  int mlp_width = 0;
  int vocabulary = 0;  ///< rows of embedding and head
  int max_positions = 0;
  double rope_theta = 0;
  double rms_norm_eps = 0;
  int tp_rank = 0;
  int tp_size = 1;
  Storage storage = Storage::kFloat32;
  bool float8 = false;  ///< whether the layers' linears hold float8 weights (float8.h)
  /// On a GPU: whether no row's bits may depend on its batch. On processors they never do.
  bool batch_invariant = false;

  int head_dim() const { return d_model / num_heads; }
  int local_heads() const { return num_heads / tp_size; }
  int local_head_width() const { return local_heads() * head_dim(); }
  int local_hidden_width() const { return d_model / tp_size; }
  int local_mlp_width() const { return mlp_width / tp_size; }
  int local_vocabulary() const { return vocabulary / tp_size; }
  int first_vocabulary_id() const { return tp_rank * local_vocabulary(); }
};

struct LayerWeights {
  std::vector<float> attn_norm;  // [d_model]
  std::vector<float> ff_norm;    // [d_model]
  Linear qkv;       // [3 * local_head_width, d_model]: this rank's heads of q, then k, then v
  Linear attn_out;  // [d_model, local_head_width], a row-parallel part
  Linear gate_up;   // [2 * local_mlp_width, d_model]: gate, then up
  Linear down;      // [d_model, local_mlp_width], a row-parallel part
};

/// One rank's weights. Only its slices are read.
struct ModelWeights {
  Embedding embedding;  // [local_vocabulary, d_model]
  std::vector<LayerWeights> layers;
  std::vector<float> final_norm;  // [d_model]
  Linear head;                    // [local_vocabulary, d_model]
};

/// This rank's share of the network that `config` describes. Errors: kInvalidArgument, if tp_size
/// does not divide a size.
Result<ModelShape> make_shape(
    const ModelConfig& config, int tp_rank, int tp_size, Storage storage, bool float8 = false);

/// Reads this rank's slices; takes a few MiB of memory besides the weights. Float8 weights are
/// rounded but kept in `storage`, which represents them exactly: CPUs gain nothing from 8 bits.
ModelWeights load_weights(const ModelShape& shape, const Checkpoint& checkpoint);

}  // namespace rubato
