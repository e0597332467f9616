#pragma once

#include <vector>

#include "http/openai/fields.h"
#include "http/openai/request.h"

namespace rubato {

/// `prompt` of a completion: one or several, as text or as ids. Throws FieldError.
std::vector<std::vector<TokenId>> read_prompts(const Fields& body, const ApiContext& context);

/// `messages` of a chat. Throws FieldError.
std::vector<ChatMessage> read_messages(const Fields& body);

}  // namespace rubato
