#include "tests/support/sparse_checkpoint.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <vector>

#include "runtime/base/check.h"
#include "runtime/base/concat.h"
#include "runtime/checkpoint/tensor_names.h"
#include "tests/support/checkpoint_builder.h"

namespace rubato::testing {
namespace {

namespace json = boost::json;

constexpr std::int64_t kNumShards = 6;

std::int64_t stored_bytes(const ModelConfig& config, TensorId id) {
  std::int64_t bytes = byte_size(config.dtype);
  for (const std::int64_t size : tensor_shape(config, id.kind)) bytes *= size;
  return bytes;
}

void write_sparse_shard(const std::filesystem::path& file,
                        const ModelConfig& config,
                        const std::vector<TensorId>& tensors) {
  json::object header = {{"__metadata__", {{"format", "pt"}}}};
  std::int64_t end = 0;
  for (const TensorId id : tensors) {
    const auto shape = tensor_shape(config, id.kind);
    const std::int64_t begin = end;
    end += stored_bytes(config, id);
    header[tensor_name(Naming::kLlada, id)] = {{"dtype", safetensors_name(config.dtype)},
                                               {"shape", json::array(shape.begin(), shape.end())},
                                               {"data_offsets", {begin, end}}};
  }
  std::string text = json::serialize(header);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  write_file(file, safetensors_bytes(text, ""));
  std::filesystem::resize_file(file, 8 + text.size() + static_cast<std::uintmax_t>(end));
}

}  // namespace

const std::string_view kLlada8bConfigJson = R"({
  "activation_type": "silu",
  "alibi": false,
  "alibi_bias_max": 8.0,
  "architectures": ["LLaDAModelLM"],
  "attention_dropout": 0.0,
  "attention_layer_norm": false,
  "attention_layer_norm_with_affine": true,
  "auto_map": {"AutoConfig": "configuration_llada.LLaDAConfig"},
  "bias_for_layer_norm": false,
  "block_group_size": 1,
  "block_type": "llama",
  "d_model": 4096,
  "embedding_dropout": 0.0,
  "embedding_size": 126464,
  "eos_token_id": 126081,
  "flash_attention": false,
  "include_bias": false,
  "include_qkv_bias": false,
  "init_cutoff_factor": null,
  "init_device": "meta",
  "init_fn": "mitchell",
  "init_std": 0.02,
  "input_emb_norm": false,
  "layer_norm_type": "rms",
  "layer_norm_with_affine": true,
  "mask_token_id": 126336,
  "max_sequence_length": 4096,
  "mlp_hidden_size": 12288,
  "mlp_ratio": 4,
  "model_type": "llada",
  "multi_query_attention": null,
  "n_heads": 32,
  "n_kv_heads": 32,
  "n_layers": 32,
  "pad_token_id": 126081,
  "precision": "amp_bf16",
  "residual_dropout": 0.0,
  "rms_norm_eps": 1e-05,
  "rope": true,
  "rope_full_precision": true,
  "rope_theta": 500000.0,
  "scale_logits": false,
  "torch_dtype": "bfloat16",
  "transformers_version": "4.46.3",
  "use_cache": false,
  "vocab_size": 126464,
  "weight_tying": false
})";

void write_sparse_llada_8b(const std::filesystem::path& folder) {
  write_file(folder / "config.json", std::string(kLlada8bConfigJson));
  const auto config = read_model_config(folder);
  RUBATO_CHECK(config.ok(), config.error().message);
  const std::int64_t total_bytes = config->parameter_count() * byte_size(config->dtype);
  std::vector<std::vector<TensorId>> shards(kNumShards);
  json::object weight_map;
  std::int64_t begin = 0;
  const auto shard_name = [](std::int64_t place) {
    return concat("model-0000", place + 1, "-of-0000", kNumShards, ".safetensors");
  };
  for (const TensorId id : all_tensors(*config)) {
    const std::int64_t place = begin * kNumShards / total_bytes;
    shards[static_cast<std::size_t>(place)].push_back(id);
    weight_map[tensor_name(Naming::kLlada, id)] = shard_name(place);
    begin += stored_bytes(*config, id);
  }
  for (std::int64_t place = 0; place < kNumShards; ++place) {
    write_sparse_shard(
        folder / shard_name(place), *config, shards[static_cast<std::size_t>(place)]);
  }
  const json::object index = {{"metadata", {{"total_size", total_bytes}}},
                              {"weight_map", std::move(weight_map)}};
  write_file(folder / "model.safetensors.index.json", json::serialize(index));
}

}  // namespace rubato::testing
