#include "runtime/checkpoint/tensor_names.h"

#include <algorithm>
#include <charconv>

#include "runtime/base/concat.h"

namespace rubato {
namespace {

struct KindNames {
  TensorKind kind;
  bool per_layer;
  std::string_view llada;         // after "transformer." or "transformer.blocks.{i}."
  std::string_view hugging_face;  // whole, or after "model.layers.{i}."
};

constexpr std::array kNames = {
    KindNames{TensorKind::kEmbedding, false, "wte.weight", "model.embed_tokens.weight"},
    KindNames{TensorKind::kFinalNorm, false, "ln_f.weight", "model.norm.weight"},
    KindNames{TensorKind::kHead, false, "ff_out.weight", "lm_head.weight"},
    KindNames{TensorKind::kAttentionNorm, true, "attn_norm.weight", "input_layernorm.weight"},
    KindNames{TensorKind::kQuery, true, "q_proj.weight", "self_attn.q_proj.weight"},
    KindNames{TensorKind::kKey, true, "k_proj.weight", "self_attn.k_proj.weight"},
    KindNames{TensorKind::kValue, true, "v_proj.weight", "self_attn.v_proj.weight"},
    KindNames{TensorKind::kAttentionOut, true, "attn_out.weight", "self_attn.o_proj.weight"},
    KindNames{TensorKind::kMlpNorm, true, "ff_norm.weight", "post_attention_layernorm.weight"},
    KindNames{TensorKind::kGate, true, "ff_proj.weight", "mlp.gate_proj.weight"},
    KindNames{TensorKind::kUp, true, "up_proj.weight", "mlp.up_proj.weight"},
    KindNames{TensorKind::kDown, true, "ff_out.weight", "mlp.down_proj.weight"}};

std::string_view model_prefix(Naming naming) {
  switch (naming) {
    case Naming::kLlada:
      return "model.transformer.";
    case Naming::kLladaBare:
      return "transformer.";
    case Naming::kHuggingFaceLlama:
      return "";
  }
  return "";
}

std::string_view layer_prefix(Naming naming) {
  switch (naming) {
    case Naming::kLlada:
      return "model.transformer.blocks.";
    case Naming::kLladaBare:
      return "transformer.blocks.";
    case Naming::kHuggingFaceLlama:
      return "model.layers.";
  }
  return "";
}

std::string_view own_name(Naming naming, const KindNames& names) {
  return naming == Naming::kHuggingFaceLlama ? names.hugging_face : names.llada;
}

std::optional<TensorKind> find_kind(Naming naming, bool per_layer, std::string_view own) {
  for (const KindNames& names : kNames) {
    if (names.per_layer == per_layer && own_name(naming, names) == own) return names.kind;
  }
  return std::nullopt;
}

// "12.rest": 12 in decimal, without sign or leading zeros; removed from `text` with its dot.
std::optional<int> take_layer(std::string_view& text) {
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos || (dot > 1 && text.front() == '0')) return std::nullopt;
  int layer = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + dot, layer);
  if (error != std::errc() || end != text.data() + dot || text.front() == '-') return std::nullopt;
  text.remove_prefix(dot + 1);
  return layer;
}

std::optional<TensorId> parse_as(Naming naming, std::string_view name) {
  if (name.starts_with(layer_prefix(naming))) {
    std::string_view rest = name.substr(layer_prefix(naming).size());
    const auto layer = take_layer(rest);
    const auto kind = layer ? find_kind(naming, true, rest) : std::nullopt;
    if (!kind) return std::nullopt;
    return TensorId{*kind, *layer};
  }
  if (!name.starts_with(model_prefix(naming))) return std::nullopt;
  const auto kind = find_kind(naming, false, name.substr(model_prefix(naming).size()));
  if (!kind) return std::nullopt;
  return TensorId{*kind, 0};
}

}  // namespace

bool is_layer_matrix(TensorKind kind) {
  return std::ranges::find(kLayerTensors, kind) != kLayerTensors.end() &&
         kind != TensorKind::kAttentionNorm && kind != TensorKind::kMlpNorm;
}

std::vector<TensorId> all_tensors(const ModelConfig& config) {
  std::vector<TensorId> all;
  for (const TensorKind kind : kModelTensors) all.push_back({kind, 0});
  for (int layer = 0; layer < config.n_layers; ++layer) {
    for (const TensorKind kind : kLayerTensors) all.push_back({kind, layer});
  }
  return all;
}

std::vector<std::int64_t> tensor_shape(const ModelConfig& config, TensorKind kind) {
  switch (kind) {
    case TensorKind::kEmbedding:
    case TensorKind::kHead:
      return {config.embedding_size, config.d_model};
    case TensorKind::kFinalNorm:
    case TensorKind::kAttentionNorm:
    case TensorKind::kMlpNorm:
      return {config.d_model};
    case TensorKind::kQuery:
    case TensorKind::kKey:
    case TensorKind::kValue:
    case TensorKind::kAttentionOut:
      return {config.d_model, config.d_model};
    case TensorKind::kGate:
    case TensorKind::kUp:
      return {config.mlp_hidden_size, config.d_model};
    case TensorKind::kDown:
      return {config.d_model, config.mlp_hidden_size};
  }
  return {};
}

std::string_view to_string(Naming naming) {
  switch (naming) {
    case Naming::kLlada:
      return "LLaDA";
    case Naming::kLladaBare:
      return "LLaDA without 'model.'";
    case Naming::kHuggingFaceLlama:
      return "Hugging Face Llama";
  }
  return "";
}

std::string tensor_name(Naming naming, TensorId id) {
  const KindNames& names = kNames[static_cast<std::size_t>(id.kind)];
  if (!names.per_layer) return concat(model_prefix(naming), own_name(naming, names));
  return concat(layer_prefix(naming), id.layer, ".", own_name(naming, names));
}

bool is_plausible_name(std::string_view name) {
  constexpr std::size_t kMaxNameBytes = 512;
  const auto is_control = [](char byte) { return (byte >= 0 && byte < ' ') || byte == 0x7f; };
  return name.size() <= kMaxNameBytes && std::none_of(name.begin(), name.end(), is_control);
}

std::optional<ParsedName> parse_tensor_name(std::string_view name) {
  for (const Naming naming : {Naming::kLlada, Naming::kLladaBare, Naming::kHuggingFaceLlama}) {
    if (const auto id = parse_as(naming, name)) return ParsedName{naming, *id};
  }
  return std::nullopt;
}

bool is_ignored_tensor(std::string_view name) {
  return name.ends_with("rotary_emb.inv_freq");
}

}  // namespace rubato
