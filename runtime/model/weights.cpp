#include "runtime/model/weights.h"

#include <algorithm>

#include "runtime/checkpoint/shard.h"
#include "runtime/model/float8.h"

namespace rubato {
namespace {

class Loader {
 public:
  Loader(const ModelShape& shape, const Checkpoint& checkpoint)
      : shape_(shape), checkpoint_(checkpoint) {}

  /// A norm's weights, which every rank holds completely.
  std::vector<float> norm(TensorKind kind, int layer = 0) const {
    const TensorView tensor = checkpoint_.tensor(kind, layer);
    std::vector<float> out(tensor.cols);
    copy_slice(tensor, tensor.whole(), out.data());
    if (shape_.storage == Storage::kBFloat16) kernels().round(out.data(), std::ssize(out));
    return out;
  }

  Embedding embedding() const {
    return {checkpoint_.tensor(TensorKind::kEmbedding),
            slice_of(TensorKind::kEmbedding),
            shape_.storage};
  }

  /// This rank's rows of several [rows, d_model] tensors of one size, one below the other.
  Linear column_parallel(std::vector<TensorKind> kinds, int layer = 0) const {
    const std::int64_t rows = std::ssize(kinds) * slice_of(kinds[0]).rows.size();
    const bool float8 = shape_.float8 && kinds[0] != TensorKind::kHead;
    return {rows,
            shape_.d_model,
            shape_.storage,
            /*groups=*/1,
            rows_of(std::move(kinds), layer, float8)};
  }

  /// This rank's columns of a [d_model, columns] tensor, summed in this rank's share of the whole's
  /// groups.
  Linear row_parallel(TensorKind kind, int layer) const {
    const std::int64_t columns = slice_of(kind).cols.size();
    return {shape_.d_model,
            columns,
            shape_.storage,
            local_groups(columns * shape_.tp_size, shape_.tp_size),
            rows_of({kind}, layer, shape_.float8)};
  }

 private:
  TensorSlice slice_of(TensorKind kind) const {
    return rank_slice(checkpoint_.config(), kind, shape_.tp_rank, shape_.tp_size);
  }

  /// Reads this rank's slices of tensors of one size as if they were one, below each other.
  RowReader rows_of(std::vector<TensorKind> kinds, int layer, bool float8) const {
    return [this, kinds = std::move(kinds), layer, float8](
               std::int64_t begin, std::int64_t end, float* out) {
      const TensorSlice whole = slice_of(kinds[0]);
      while (begin < end) {
        const TensorKind kind = kinds[begin / whole.rows.size()];
        const std::int64_t first = begin % whole.rows.size();
        const std::int64_t count = std::min(end - begin, whole.rows.size() - first);
        const std::int64_t row = whole.rows.begin + first;
        const TensorSlice slice{{row, row + count}, whole.cols};
        const TensorView tensor = checkpoint_.tensor(kind, layer);
        copy_slice(tensor, slice, out);
        if (float8) round_to_float8(tensor, slice, out);
        out += slice.size();
        begin += count;
      }
    };
  }

  static void round_to_float8(const TensorView& tensor, const TensorSlice& slice, float* values) {
    for (const float scale : float8_scales(tensor, slice.rows)) {
      for (std::int64_t i = 0; i < slice.cols.size(); ++i, ++values)
        *values = from_float8(to_float8(*values, scale), scale);
    }
  }

  const ModelShape& shape_;
  const Checkpoint& checkpoint_;
};

LayerWeights load_layer(const Loader& load, int layer) {
  return {.attn_norm = load.norm(TensorKind::kAttentionNorm, layer),
          .ff_norm = load.norm(TensorKind::kMlpNorm, layer),
          .qkv = load.column_parallel({TensorKind::kQuery, TensorKind::kKey, TensorKind::kValue},
                                      layer),
          .attn_out = load.row_parallel(TensorKind::kAttentionOut, layer),
          .gate_up = load.column_parallel({TensorKind::kGate, TensorKind::kUp}, layer),
          .down = load.row_parallel(TensorKind::kDown, layer)};
}

}  // namespace

Result<ModelShape> make_shape(
    const ModelConfig& config, int tp_rank, int tp_size, Storage storage, bool float8) {
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
                    .storage = storage,
                    .float8 = float8};
}

ModelWeights load_weights(const ModelShape& shape, const Checkpoint& checkpoint) {
  const Loader load(shape, checkpoint);
  ModelWeights weights{.embedding = load.embedding(),
                       .layers = {},
                       .final_norm = load.norm(TensorKind::kFinalNorm),
                       .head = load.column_parallel({TensorKind::kHead})};
  for (int layer = 0; layer < shape.num_layers; ++layer) {
    weights.layers.push_back(load_layer(load, layer));
  }
  return weights;
}

}  // namespace rubato
