#pragma once

#include <vector>

#include "http/openai/fields.h"
#include "http/openai/request.h"

namespace rubato {

/// Refuses a `model` other than the one that is served. Throws FieldError, like all below.
void require_served_model(const Fields& body, const ServedModel& model);

/// A list of token ids; `param` is named in messages.
std::vector<TokenId> read_token_ids(const boost::json::array& list,
                                    const std::string& param,
                                    const ApiContext& context,
                                    bool mask_allowed = false);

/// The ids of a completion's prompt: with the tokenizer's special tokens around it unless
/// `add_special_tokens` is false.
std::vector<TokenId> encode_prompt(const Fields& body,
                                   std::string_view text,
                                   const Tokenizer& tokenizer);

/// `prompt` of a completion: one or several, as text or as ids.
std::vector<std::vector<TokenId>> read_prompts(const Fields& body, const ApiContext& context);

/// `suffix` of a completion, as ids: what stands behind the generated part. Empty: nothing.
std::vector<TokenId> read_suffix(const Fields& body, const Tokenizer& tokenizer);

/// The text of each prompt, for `echo`: as it was given, or that of its ids.
std::vector<std::string> prompt_texts(const Fields& body,
                                      const std::vector<std::vector<TokenId>>& prompts,
                                      const Tokenizer& tokenizer,
                                      bool skip_special);

/// `messages` of a chat, as the ids of its prompt.
std::vector<TokenId> encode_chat(const Fields& body, const ApiContext& context);

}  // namespace rubato
