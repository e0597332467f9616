#include "http/openai/request.h"

#include <algorithm>
#include <random>

#include "http/openai/diffusion_fields.h"
#include "http/openai/neutral_fields.h"
#include "http/openai/prompt_fields.h"

namespace rubato {
namespace {

namespace json = boost::json;

std::vector<std::string> read_stop(const Fields& body) {
  const auto* value = body.find("stop");
  if (value == nullptr) return {};
  std::vector<std::string> stop;
  if (value->is_string()) {
    stop.emplace_back(value->get_string());
  } else if (value->is_array() && value->get_array().size() <= 4) {
    for (const json::value& one : value->get_array()) {
      if (!one.is_string()) reject("stop", "`stop` must be a string or a list of up to 4 strings");
      stop.emplace_back(one.get_string());
    }
  } else {
    reject("stop", "`stop` must be a string or a list of up to 4 strings");
  }
  std::erase(stop, "");
  return stop;
}

/// Everything that chat and completions share, but for the prompts and the length.
ApiRequest read_common(const Fields& body, const ApiContext& context) {
  if (const auto model = body.string("model"); model && *model != context.model.id)
    throw FieldError{unknown_model(*model)};
  refuse_unsupported(body);
  ApiRequest request;
  request.stream = body.boolean("stream", false);
  request.return_token_ids = body.boolean("return_token_ids", false);
  request.stop = read_stop(body);
  request.choices_per_prompt = static_cast<int>(body.integer("n", 1, 16).value_or(1));
  if (const auto* options = body.find("stream_options")) {
    if (!request.stream) reject("stream_options", "`stream_options` is allowed with `stream` only");
    if (!options->is_object()) reject("stream_options", "`stream_options` must be an object");
    const Fields fields(options->get_object(), "stream_options.");
    request.include_usage = fields.boolean("include_usage", false);
    if (fields.boolean("continuous_usage_stats", false))
      reject("stream_options.continuous_usage_stats",
             "`stream_options.continuous_usage_stats` is not supported yet");
  }
  return request;
}

void add_choices(const Fields& body,
                 const ApiContext& context,
                 const std::vector<std::vector<TokenId>>& prompts,
                 std::optional<std::int64_t> max_tokens,
                 ApiRequest& request) {
  GenerationRequest base;
  base.policy = context.defaults.policy;
  base.commit = context.defaults.commit;
  base.ignore_eos = body.boolean("ignore_eos", false);
  base.sampling.temperature = body.number("temperature", 0, 2).value_or(0);
  base.sampling.top_p = body.number("top_p", 0, 1, /*above=*/true).value_or(1);
  base.sampling.top_k = static_cast<int>(
      std::max<std::int64_t>(0, body.integer("top_k", -1, kMostTokens).value_or(0)));
  const auto seed = body.integer(
      "seed", std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max());
  base.sampling.seed = seed ? static_cast<std::uint64_t>(*seed) : std::random_device{}();
  const std::int64_t context_length = context.model.max_context;
  for (const std::vector<TokenId>& prompt : prompts) {
    if (prompt.empty()) reject(request.chat ? "messages" : "prompt", "the prompt is empty");
    const std::int64_t room = context_length - std::ssize(prompt);
    const std::int64_t length =
        max_tokens.value_or(std::min<std::int64_t>(512, std::max<std::int64_t>(room, 1)));
    if (length > room) {
      reject(request.chat ? "messages" : "prompt",
             concat("This model's maximum context length is ",
                    context_length,
                    " tokens. The prompt has ",
                    prompt.size(),
                    " tokens and ",
                    length,
                    " are to be generated, ",
                    length + std::ssize(prompt),
                    " in all."),
             Code::kTooLong);
    }
    base.prompt = prompt;
    base.max_tokens = static_cast<int>(length);
    GenerationRequest choice = base;
    read_diffusion(body, choice);
    request.trace = choice.trace;
    for (int i = 0; i < request.choices_per_prompt; ++i) {
      request.choices.push_back(choice);
      ++choice.sampling.seed;  // so that the choices differ
    }
  }
  std::int64_t total = 0;
  for (const GenerationRequest& choice : request.choices) total += choice.max_tokens;
  if (total > context.defaults.max_request_tokens) {
    reject("n",
           concat("all choices together are ",
                  total,
                  " tokens to generate; at most ",
                  context.defaults.max_request_tokens,
                  " are allowed"));
  }
}

template <class Body>
Result<ApiRequest> catching(const Body& body) {
  try {
    return body();
  } catch (const FieldError& mistake) {
    return mistake.error;
  }
}

}  // namespace

Error unknown_model(std::string_view name) {
  return {Code::kNotFound, concat("The model `", name.substr(0, 80), "` does not exist."), "model"};
}

Result<ApiRequest> parse_chat_request(const json::object& body, const ApiContext& context) {
  return catching([&] {
    const Fields fields(body);
    ApiRequest request = read_common(fields, context);
    request.chat = true;
    if (context.chat_template == nullptr)
      reject("messages",
             "this checkpoint's chat template is not recognised; name one in the server's "
             "configuration (model.chat_template)");
    auto max_tokens = fields.integer("max_completion_tokens", 1, kMostTokens);
    if (!max_tokens) max_tokens = fields.integer("max_tokens", 1, kMostTokens);
    add_choices(fields,
                context,
                {context.chat_template->encode(context.tokenizer, read_messages(fields))},
                max_tokens,
                request);
    return request;
  });
}

Result<ApiRequest> parse_completion_request(const json::object& body, const ApiContext& context) {
  return catching([&] {
    const Fields fields(body);
    ApiRequest request = read_common(fields, context);
    const auto max_tokens = fields.integer("max_tokens", 1, kMostTokens).value_or(16);
    add_choices(fields, context, read_prompts(fields, context), max_tokens, request);
    return request;
  });
}

}  // namespace rubato
