#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/checkpoint/model_config.h"

namespace rubato {

/// The role of a weight, independent of its name in the file.
enum class TensorKind : std::uint8_t {
  kEmbedding,      ///< [embedding_size, d_model]
  kFinalNorm,      ///< [d_model]
  kHead,           ///< [embedding_size, d_model], untied
  kAttentionNorm,  ///< [d_model]; this and all below once in every layer
  kQuery,          ///< [d_model, d_model], rows by head, as key and value
  kKey,            ///< [d_model, d_model]
  kValue,          ///< [d_model, d_model]
  kAttentionOut,   ///< [d_model, d_model], columns by head
  kMlpNorm,        ///< [d_model]
  kGate,           ///< [mlp_hidden_size, d_model]
  kUp,             ///< [mlp_hidden_size, d_model]
  kDown,           ///< [d_model, mlp_hidden_size]
};

inline constexpr std::array kModelTensors = {
    TensorKind::kEmbedding, TensorKind::kFinalNorm, TensorKind::kHead};
inline constexpr std::array kLayerTensors = {TensorKind::kAttentionNorm,
                                             TensorKind::kQuery,
                                             TensorKind::kKey,
                                             TensorKind::kValue,
                                             TensorKind::kAttentionOut,
                                             TensorKind::kMlpNorm,
                                             TensorKind::kGate,
                                             TensorKind::kUp,
                                             TensorKind::kDown};

/// Whether `kind` is one of a layer's seven matrices, the only tensors that can be held in float8.
bool is_layer_matrix(TensorKind kind);

/// One weight of a model. `layer` is 0 for the kinds that occur once.
struct TensorId {
  TensorKind kind = TensorKind::kEmbedding;
  int layer = 0;

  auto operator<=>(const TensorId&) const = default;
};

/// All weights of a model, the model's own first, then layer by layer.
std::vector<TensorId> all_tensors(const ModelConfig& config);

/// The shape that `kind` has in a whole (unsharded) model.
std::vector<std::int64_t> tensor_shape(const ModelConfig& config, TensorKind kind);

/// The ways in which exports name weights.
enum class Naming : std::uint8_t {
  kLlada,             ///< model.transformer.blocks.0.q_proj.weight
  kLladaBare,         ///< transformer.blocks.0.q_proj.weight
  kHuggingFaceLlama,  ///< model.layers.0.self_attn.q_proj.weight
};

/// "LLaDA", "LLaDA without 'model.'" or "Hugging Face Llama".
std::string_view to_string(Naming naming);

std::string tensor_name(Naming naming, TensorId id);

/// Whether `name` is plausible as a tensor's name and can be shown in a message: printable, and not
/// too long.
bool is_plausible_name(std::string_view name);

/// A parsed name.
struct ParsedName {
  Naming naming = Naming::kLlada;
  TensorId id;
};

/// The tensor that `name` stands for, or nothing if no naming has it. The layer is not checked.
std::optional<ParsedName> parse_tensor_name(std::string_view name);

/// Whether `name` is a buffer that some exports contain and nothing needs (rotary frequencies).
bool is_ignored_tensor(std::string_view name);

}  // namespace rubato
