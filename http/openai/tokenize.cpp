#include "http/openai/tokenize.h"

#include <boost/json.hpp>

#include "http/openai/fields.h"
#include "http/openai/neutral_fields.h"
#include "http/openai/prompt_fields.h"

namespace rubato {
namespace {

namespace json = boost::json;

std::vector<TokenId> read_tokens(const Fields& body, const ApiContext& context) {
  const bool chat = body.find("messages") != nullptr;
  if (chat == (body.find("prompt") != nullptr))
    reject("prompt", "one of `prompt` and `messages` is required");
  if (chat) return encode_chat(body, context);
  return encode_prompt(body, body.string("prompt").value(), context.tokenizer);
}

}  // namespace

Result<json::object> tokenize(const json::object& body, const ApiContext& context) {
  return catching_field_errors([&] {
    const Fields fields(body);
    require_served_model(fields, context.model);
    refuse_unsupported(fields);
    fields.boolean("add_special_tokens", true);
    const std::vector<TokenId> ids = read_tokens(fields, context);
    json::object answer{{"count", ids.size()},
                        {"max_model_len", context.model.max_context},
                        {"tokens", json::array(ids.begin(), ids.end())}};
    if (fields.boolean("return_token_strs", false)) {
      json::array& strings = answer["token_strs"].emplace_array();
      for (const TokenId id : ids)
        strings.emplace_back(to_valid_utf8(context.tokenizer.token_bytes(id)));
    }
    return answer;
  });
}

Result<json::object> detokenize(const json::object& body, const ApiContext& context) {
  return catching_field_errors([&] {
    const Fields fields(body);
    require_served_model(fields, context.model);
    const auto* tokens = fields.find("tokens");
    if (tokens == nullptr || !tokens->is_array())
      reject("tokens", "`tokens` must be a list of token ids");
    const auto ids = read_token_ids(tokens->get_array(), "tokens", context, /*mask_allowed=*/true);
    return json::object{{"prompt", context.tokenizer.decode(ids, /*skip_special=*/false)}};
  });
}

}  // namespace rubato
