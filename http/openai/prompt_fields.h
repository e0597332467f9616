#pragma once

#include <vector>

#include "http/openai/fields.h"
#include "http/openai/request.h"

namespace rubato {

/// Refuses a `model` other than the one that is served. Throws FieldError, like all below.
void require_served_model(const Fields& body, const ServedModel& model);

/// Whether a prompt's number of tokens is exact or a lower bound.
enum class Counted { kAll, kAtLeast };

/// Refuses a prompt of `given` tokens that leaves no room in the context for `length` more.
void require_room(std::int64_t given,
                  std::int64_t length,
                  const ServedModel& model,
                  const std::string& param,
                  Counted counted = Counted::kAll);

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

/// `prompt` of a completion: one or several, as text or as ids. Refuses prompts that leave no room
/// for `length` tokens; long texts without tokenizing them.
std::vector<std::vector<TokenId>> read_prompts(const Fields& body,
                                               const ApiContext& context,
                                               std::int64_t length);

/// `suffix` of a completion, as ids: the text after the generated part. May be empty. Refused like
/// a prompt.
std::vector<TokenId> read_suffix(const Fields& body,
                                 const ApiContext& context,
                                 std::int64_t length);

/// The text of each prompt, for `echo`: as given, or decoded from its ids.
std::vector<std::string> prompt_texts(const Fields& body,
                                      const std::vector<std::vector<TokenId>>& prompts,
                                      const Tokenizer& tokenizer,
                                      bool skip_special);

/// `messages` of a chat, as the ids of its prompt. With `length`, refused like a prompt.
std::vector<TokenId> encode_chat(const Fields& body,
                                 const ApiContext& context,
                                 std::optional<std::int64_t> length = {});

}  // namespace rubato
