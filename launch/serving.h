#pragma once

#include <optional>

#include "http/openai/request.h"
#include "launch/config.h"
#include "runtime/checkpoint/model_config.h"

namespace rubato {

/// The text side of a checkpoint, as the front end on rank 0 needs it.
struct TextSide {
  ServedModel model;
  Tokenizer tokenizer;
  std::optional<ChatTemplate> chat_template;  ///< none: not recognised (logged), chat is refused
  GenerationDefaults defaults;

  ApiContext context() const {
    return {model, tokenizer, chat_template ? &*chat_template : nullptr, defaults};
  }
};

/// Reads tokenizer and chat template as the configuration says.
Result<TextSide> load_text_side(const Config& config, const ModelConfig& model);

}  // namespace rubato
