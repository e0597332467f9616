#include "runtime/checkpoint/config_json.h"

#include <boost/json/array.hpp>

namespace rubato {

boost::json::object to_json(const ModelConfig& config) {
  const auto& eos = config.eos_token_ids;
  boost::json::object object = {{"d_model", config.d_model},
                                {"n_layers", config.n_layers},
                                {"n_heads", config.n_heads},
                                {"mlp_hidden_size", config.mlp_hidden_size},
                                {"vocab_size", config.vocab_size},
                                {"embedding_size", config.embedding_size},
                                {"max_sequence_length", config.max_sequence_length},
                                {"rope_theta", config.rope_theta},
                                {"rms_norm_eps", config.rms_norm_eps},
                                {"mask_token_id", config.mask_token_id},
                                {"eos_token_ids", boost::json::array(eos.begin(), eos.end())},
                                {"pad_token_id", config.pad_token_id},
                                {"dtype", to_string(config.dtype)}};
  if (config.bos_token_id) object["bos_token_id"] = *config.bos_token_id;
  return object;
}

boost::json::object config_json(const ModelConfig& config) {
  return {{"model_type", "llada"},
          {"architectures", {"LLaDAModelLM"}},
          {"block_type", "llama"},
          {"activation_type", "silu"},
          {"layer_norm_type", "rms"},
          {"d_model", config.d_model},
          {"n_layers", config.n_layers},
          {"n_heads", config.n_heads},
          {"n_kv_heads", config.n_heads},
          {"mlp_hidden_size", config.mlp_hidden_size},
          {"vocab_size", config.vocab_size},
          {"embedding_size", config.embedding_size},
          {"max_sequence_length", config.max_sequence_length},
          {"rope", true},
          {"rope_theta", config.rope_theta},
          {"rope_full_precision", true},
          {"rms_norm_eps", config.rms_norm_eps},
          {"weight_tying", false},
          {"include_bias", false},
          {"include_qkv_bias", false},
          {"scale_logits", false},
          {"input_emb_norm", false},
          {"attention_layer_norm", false},
          {"alibi", false},
          {"multi_query_attention", nullptr},
          {"mask_token_id", config.mask_token_id},
          {"eos_token_id", config.eos_token_id},
          {"pad_token_id", config.pad_token_id},
          {"torch_dtype", to_string(config.dtype)}};
}

}  // namespace rubato
