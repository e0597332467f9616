#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "cache/types.h"
#include "runtime/base/error.h"
#include "runtime/checkpoint/dtype.h"

namespace rubato {

/// A model's config.json and generation_config.json: the sizes of a LLaDA network with pre-norm
/// blocks, rotary positions, a SwiGLU MLP and an untied head. Value; const once read.
struct ModelConfig {
  int d_model = 0;  ///< width of the residual stream
  int n_layers = 0;
  int n_heads = 0;          ///< as many key/value heads as query heads
  int mlp_hidden_size = 0;  ///< width between gate/up and down
  int vocab_size = 0;       ///< ids the tokenizer may produce
  int embedding_size = 0;   ///< rows of the embedding and the head, >= vocab_size
  int max_sequence_length = 0;
  double rope_theta = 0;
  double rms_norm_eps = 0;
  TokenId mask_token_id = 0;
  TokenId eos_token_id = 0;
  TokenId pad_token_id = 0;
  std::optional<TokenId> bos_token_id;  ///< from generation_config.json
  /// Every id that ends a text: `eos_token_id` first, then those of generation_config.json.
  std::vector<TokenId> eos_token_ids;
  DType dtype = DType::kFloat32;  ///< of the weights, according to config.json

  int head_dim() const { return d_model / n_heads; }

  /// The number of values in all tensors.
  std::int64_t parameter_count() const;

  bool operator==(const ModelConfig&) const = default;
};

/// Whether the sizes and ids are within the engine's bounds and agree with each other; the error
/// names the key. The message begins with `where` (the file).
Status validate(const ModelConfig& config, const std::string& where);

/// Reads `folder`/config.json and, where it exists, generation_config.json. Keys that affect the
/// computation are required; a value that is not implemented is an error with the file, the key,
/// the value found and what is supported.
Result<ModelConfig> read_model_config(const std::filesystem::path& folder);

}  // namespace rubato
