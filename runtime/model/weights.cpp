#include "runtime/model/weights.h"

#include "runtime/checkpoint/shard.h"

namespace rubato {
namespace {

class Loader {
 public:
  Loader(const ModelShape& shape, const Checkpoint& checkpoint)
      : shape_(shape), checkpoint_(checkpoint) {}

  /// This rank's part of a tensor, row-major; whole for the norms.
  std::vector<float> part(TensorKind kind, int layer = 0) const {
    const TensorSlice slice =
        rank_slice(checkpoint_.config(), kind, shape_.tp_rank, shape_.tp_size);
    std::vector<float> out(slice.size());
    copy_slice(checkpoint_.tensor(kind, layer), slice, out.data());
    if (shape_.storage == Storage::kBFloat16) kernels().round(out.data(), std::ssize(out));
    return out;
  }

  /// This rank's rows of several [rows, d_model] tensors, one below the other.
  Linear column_parallel(std::initializer_list<TensorKind> kinds, int layer = 0) const {
    std::vector<float> all;
    for (const TensorKind kind : kinds) {
      const std::vector<float> rows = part(kind, layer);
      all.insert(all.end(), rows.begin(), rows.end());
    }
    const std::int64_t rows = std::ssize(all) / shape_.d_model;
    return Linear(all, rows, shape_.d_model, shape_.storage);
  }

  /// This rank's columns of a [d_model, columns] tensor, summed in this rank's share of the whole's
  /// groups.
  Linear row_parallel(TensorKind kind, int layer, int local_columns) const {
    const int groups = reduction_groups(std::int64_t{local_columns} * shape_.tp_size);
    return Linear(part(kind, layer),
                  shape_.d_model,
                  local_columns,
                  shape_.storage,
                  std::max(1, groups / shape_.tp_size));
  }

 private:
  const ModelShape& shape_;
  const Checkpoint& checkpoint_;
};

LayerWeights load_layer(const ModelShape& shape, const Loader& load, int layer) {
  return {.attn_norm = load.part(TensorKind::kAttentionNorm, layer),
          .ff_norm = load.part(TensorKind::kMlpNorm, layer),
          .qkv = load.column_parallel({TensorKind::kQuery, TensorKind::kKey, TensorKind::kValue},
                                      layer),
          .attn_out = load.row_parallel(TensorKind::kAttentionOut, layer, shape.local_head_width()),
          .gate_up = load.column_parallel({TensorKind::kGate, TensorKind::kUp}, layer),
          .down = load.row_parallel(TensorKind::kDown, layer, shape.local_mlp_width())};
}

}  // namespace

Result<ModelShape> make_shape(const ModelConfig& config,
                              int tp_rank,
                              int tp_size,
                              Storage storage) {
  if (Status status = check_shardable(config, tp_size); !status) return status.error();
  return ModelShape{.d_model = config.d_model,
                    .num_layers = config.n_layers,
                    .num_heads = config.n_heads,
                    .mlp_width = config.mlp_hidden_size,
                    .vocabulary = config.embedding_size,
                    .max_positions = config.max_sequence_length,
                    .rope_theta = config.rope_theta,
                    .rms_norm_eps = config.rms_norm_eps,
                    .tp_rank = tp_rank,
                    .tp_size = tp_size,
                    .storage = storage};
}

ModelWeights load_weights(const ModelShape& shape, const Checkpoint& checkpoint) {
  const Loader load(shape, checkpoint);
  ModelWeights weights{.embedding = load.part(TensorKind::kEmbedding),
                       .layers = {},
                       .final_norm = load.part(TensorKind::kFinalNorm),
                       .head = load.column_parallel({TensorKind::kHead})};
  for (int layer = 0; layer < shape.num_layers; ++layer) {
    weights.layers.push_back(load_layer(shape, load, layer));
  }
  return weights;
}

}  // namespace rubato
