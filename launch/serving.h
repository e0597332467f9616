#pragma once

#include <optional>

#include "http/openai/request.h"
#include "launch/config.h"
#include "runtime/checkpoint/model_config.h"

namespace rubato {

/// What the front end needs of a checkpoint's text side, on rank 0.
struct TextSide {
  ServedModel model;
  Tokenizer tokenizer;
  std::optional<ChatTemplate> chat_template;  ///< none: not recognised (warned of), chat is refused
  GenerationDefaults defaults;

  ApiContext context() const {
    return {model, tokenizer, chat_template ? &*chat_template : nullptr, defaults};
  }
};

/// Reads tokenizer and chat template as the configuration says.
Result<TextSide> load_text_side(const Config& config, const ModelConfig& model);

}  // namespace rubato
