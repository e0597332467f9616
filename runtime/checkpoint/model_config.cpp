#include "runtime/checkpoint/model_config.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <string_view>

#include "runtime/base/concat.h"
#include "runtime/checkpoint/json_file.h"
#include "runtime/checkpoint/key_reader.h"

namespace rubato {
namespace {

constexpr std::uint64_t kMaxConfigBytes = 4 << 20;

// Wide enough for any model of this design, and small enough that no product of sizes overflows.
constexpr int kMaxWidth = 1 << 16;
constexpr int kMaxMlpWidth = 1 << 20;
constexpr int kMaxLayers = 1 << 10;
constexpr int kMaxIds = 1 << 24;
constexpr int kMaxLength = 1 << 24;

// The switches of the original model class, each with the one value that is implemented here. They
// must be written out, for the class's own defaults describe another model.
void check_architecture(KeyReader& keys) {
  keys.require("model_type", "llada");
  keys.require("block_type", "llama");
  keys.require("activation_type", "silu");
  keys.require("layer_norm_type", "rms");
  keys.require("rope", true);
  keys.require("rope_full_precision", true);
  keys.require("weight_tying", false);
  keys.require("include_bias", false);
  keys.require("include_qkv_bias", false);
  keys.require("scale_logits", false);
  keys.require("attention_layer_norm", false);
  // Exports leave these out where they have the implemented value, which is the default as well.
  keys.expect_unless_absent("input_emb_norm", false);
  keys.expect_unless_absent("alibi", false);
  keys.expect_unless_absent("multi_query_attention", false);
  keys.expect_unless_absent("block_group_size", 1);
  keys.expect_unless_absent("bias_for_layer_norm", false);
  keys.expect_unless_absent("layer_norm_with_affine", true);
  for (const std::string_view key : {"rope_scaling", "clip_qkv", "quantization_config"}) {
    keys.expect_unless_absent(key, nullptr);
  }
}

void read_sizes(KeyReader& keys, ModelConfig& config) {
  config.d_model = keys.integer("d_model");
  config.n_layers = keys.integer("n_layers");
  config.n_heads = keys.integer("n_heads");
  config.mlp_hidden_size = keys.integer("mlp_hidden_size");
  config.vocab_size = keys.integer("vocab_size");
  config.embedding_size = keys.integer("embedding_size");
  config.max_sequence_length = keys.integer("max_sequence_length");
  config.rope_theta = keys.number("rope_theta");
  config.rms_norm_eps = keys.number("rms_norm_eps");
  config.dtype = keys.dtype("torch_dtype", "dtype");
}

void read_ids(KeyReader& keys, ModelConfig& config) {
  config.mask_token_id = keys.integer("mask_token_id");
  config.pad_token_id = keys.integer("pad_token_id");
  config.eos_token_ids = keys.ids("eos_token_id");
  config.eos_token_id = config.eos_token_ids.empty() ? 0 : config.eos_token_ids.front();
}

struct Bounded {
  std::string_view key;
  int value;
  int least;
  int most;
};

Status check_bounds(std::initializer_list<Bounded> all, const std::string& where) {
  for (const Bounded& each : all) {
    if (each.value < each.least || each.value > each.most) {
      return bad_key(where,
                     each.key,
                     concat("is ", each.value, "; supported are ", each.least, " to ", each.most));
    }
  }
  return {};
}

Status check_eos(TokenId id, const ModelConfig& config, const std::string& where) {
  if (id == config.mask_token_id) {
    return bad_key(where, "eos_token_id", concat("is ", id, ", which is mask_token_id as well"));
  }
  return check_bounds({{"eos_token_id", id, 0, config.vocab_size - 1}}, where);
}

Status read_generation_config(const std::filesystem::path& file, ModelConfig& config) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return {};
  const auto object = read_json_object(file, kMaxConfigBytes);
  if (!object) return object.error();
  KeyReader keys(file.string(), *object);
  std::vector<TokenId> more_eos;
  if (keys.has("bos_token_id")) config.bos_token_id = keys.integer("bos_token_id");
  if (keys.has("eos_token_id")) more_eos = keys.ids("eos_token_id");
  if (keys.error()) return *keys.error();
  const Status bos = check_bounds(
      {{"bos_token_id", config.bos_token_id.value_or(0), 0, config.vocab_size - 1}}, file.string());
  if (!bos) return bos;
  for (const TokenId id : more_eos) {
    const Status eos = check_eos(id, config, file.string());
    if (!eos) return eos;
    auto& all = config.eos_token_ids;
    if (std::find(all.begin(), all.end(), id) == all.end()) all.push_back(id);
  }
  return {};
}

}  // namespace

std::int64_t ModelConfig::parameter_count() const {
  const std::int64_t d = d_model;
  const std::int64_t attention = 4 * d * d;
  const std::int64_t mlp = 3 * d * mlp_hidden_size;
  const std::int64_t norms = 2 * d;
  return 2 * embedding_size * d + n_layers * (attention + mlp + norms) + d;
}

Status validate(const ModelConfig& config, const std::string& where) {
  const auto sizes =
      check_bounds({{"d_model", config.d_model, 1, kMaxWidth},
                    {"n_layers", config.n_layers, 1, kMaxLayers},
                    {"n_heads", config.n_heads, 1, kMaxWidth},
                    {"mlp_hidden_size", config.mlp_hidden_size, 1, kMaxMlpWidth},
                    {"vocab_size", config.vocab_size, 1, kMaxIds},
                    {"embedding_size", config.embedding_size, 1, kMaxIds},
                    {"max_sequence_length", config.max_sequence_length, 1, kMaxLength}},
                   where);
  if (!sizes) return sizes;
  if (config.d_model % config.n_heads != 0) {
    return bad_key(
        where,
        "d_model",
        concat("is ", config.d_model, ", which n_heads ", config.n_heads, " does not divide"));
  }
  if (config.head_dim() % 2 != 0) {
    return bad_key(where,
                   "n_heads",
                   concat("is ",
                          config.n_heads,
                          ", which makes heads of ",
                          config.head_dim(),
                          "; rotary positions need an even size"));
  }
  if (config.embedding_size < config.vocab_size) {
    return bad_key(
        where,
        "embedding_size",
        concat("is ", config.embedding_size, ", less than vocab_size ", config.vocab_size));
  }
  for (const auto& [key, value] :
       {std::pair{"rope_theta", config.rope_theta}, {"rms_norm_eps", config.rms_norm_eps}}) {
    if (!std::isfinite(value) || value <= 0) {
      return bad_key(where, key, concat("is ", value, "; a positive number is expected"));
    }
  }
  const int last_id = config.vocab_size - 1;
  const auto ids = check_bounds({{"mask_token_id", config.mask_token_id, 0, last_id},
                                 {"eos_token_id", config.eos_token_id, 0, last_id},
                                 {"pad_token_id", config.pad_token_id, 0, last_id}},
                                where);
  if (!ids) return ids;
  for (const TokenId id : config.eos_token_ids) {
    if (const Status eos = check_eos(id, config, where); !eos) return eos;
  }
  return {};
}

Result<ModelConfig> read_model_config(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "config.json";
  const auto object = read_json_object(file, kMaxConfigBytes);
  if (!object) return object.error();
  KeyReader keys(file.string(), *object);
  ModelConfig config;
  check_architecture(keys);
  read_sizes(keys, config);
  read_ids(keys, config);
  if (keys.error()) return *keys.error();
  if (const Status valid = validate(config, file.string()); !valid) return valid.error();
  keys.require("n_kv_heads", config.n_heads);  // no grouped queries
  if (keys.error()) return *keys.error();
  if (const Status more = read_generation_config(folder / "generation_config.json", config);
      !more) {
    return more.error();
  }
  return config;
}

}  // namespace rubato
