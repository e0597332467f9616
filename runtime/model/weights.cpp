#include "runtime/model/weights.h"

#include "runtime/base/concat.h"

namespace rubato {
namespace {

class Loader {
 public:
  Loader(const ModelShape& shape, const TensorReader& read) : shape_(shape), read_(read) {}

  std::vector<float> vector(const std::string& name) const {
    return slice(name, {0, 1, 0, shape_.d_model});
  }

  /// This rank's rows of several [rows, d_model] tensors, one below the other.
  Linear column_parallel(std::initializer_list<std::string> names, std::int64_t local_rows) const {
    std::vector<float> all;
    for (const std::string& name : names) {
      const std::int64_t begin = shape_.tp_rank * local_rows;
      const std::vector<float> rows = slice(name, {begin, begin + local_rows, 0, shape_.d_model});
      all.insert(all.end(), rows.begin(), rows.end());
    }
    return Linear(
        all, static_cast<std::int64_t>(names.size()) * local_rows, shape_.d_model, shape_.storage);
  }

  /// This rank's columns of a [d_model, columns] tensor, summed in this rank's share of the whole's
  /// groups.
  Linear row_parallel(const std::string& name, std::int64_t local_columns) const {
    const std::int64_t begin = shape_.tp_rank * local_columns;
    const int groups = reduction_groups(local_columns * shape_.tp_size) / shape_.tp_size;
    return Linear(slice(name, {0, shape_.d_model, begin, begin + local_columns}),
                  shape_.d_model,
                  local_columns,
                  shape_.storage,
                  groups > 0 ? groups : 1);
  }

  std::vector<float> embedding() const {
    const std::int64_t begin = shape_.first_vocabulary_id();
    return slice("wte.weight", {begin, begin + shape_.local_vocabulary(), 0, shape_.d_model});
  }

 private:
  std::vector<float> slice(const std::string& name, const TensorSlice& slice) const {
    std::vector<float> out((slice.row_end - slice.row_begin) *
                           (slice.column_end - slice.column_begin));
    read_(name, slice, out);
    if (shape_.storage == Storage::kBFloat16) kernels().round(out.data(), std::ssize(out));
    return out;
  }

  const ModelShape& shape_;
  const TensorReader& read_;
};

LayerWeights load_layer(const ModelShape& shape, const Loader& load, int layer) {
  const std::string block = concat("blocks.", layer, ".");
  return {.attn_norm = load.vector(block + "attn_norm.weight"),
          .ff_norm = load.vector(block + "ff_norm.weight"),
          .qkv = load.column_parallel(
              {block + "q_proj.weight", block + "k_proj.weight", block + "v_proj.weight"},
              shape.local_head_width()),
          .attn_out = load.row_parallel(block + "attn_out.weight", shape.local_head_width()),
          .gate_up = load.column_parallel({block + "ff_proj.weight", block + "up_proj.weight"},
                                          shape.local_mlp_width()),
          .down = load.row_parallel(block + "ff_out.weight", shape.local_mlp_width())};
}

}  // namespace

ModelWeights load_weights(const ModelShape& shape, const TensorReader& read) {
  const Loader load(shape, read);
  ModelWeights weights{.embedding = load.embedding(),
                       .layers = {},
                       .final_norm = load.vector("ln_f.weight"),
                       .head = load.column_parallel({"ff_out.weight"}, shape.local_vocabulary())};
  for (int layer = 0; layer < shape.num_layers; ++layer)
    weights.layers.push_back(load_layer(shape, load, layer));
  return weights;
}

}  // namespace rubato
