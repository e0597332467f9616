#include "http/openai/request.h"

#include <algorithm>

#include "http/openai/answer_fields.h"
#include "http/openai/decoding_fields.h"
#include "http/openai/diffusion_fields.h"
#include "http/openai/neutral_fields.h"
#include "http/openai/prompt_fields.h"

namespace rubato {
namespace {

namespace json = boost::json;

void read_stream_options(const Fields& body, ApiRequest& request) {
  request.stream = body.boolean("stream", false);
  const auto* options = body.find("stream_options");
  if (options == nullptr) return;
  if (!request.stream) reject("stream_options", "`stream_options` is allowed with `stream` only");
  if (!options->is_object()) reject("stream_options", "`stream_options` must be an object");
  const Fields fields(options->get_object(), "stream_options.");
  request.include_usage = fields.boolean("include_usage", false);
  request.continuous_usage = fields.boolean("continuous_usage_stats", false);
}

/// Everything that chat and completions share, except prompts and length.
ApiRequest read_common(const Fields& body, const ApiContext& context, bool chat) {
  require_served_model(body, context.model);
  refuse_unsupported(body);
  ApiRequest request;
  request.chat = chat;
  read_stream_options(body, request);
  request.return_token_ids = body.boolean("return_token_ids", false);
  body.boolean("add_special_tokens", true);  // only used by completions: a template has its own
  request.answer = read_answer_options(body, context);
  request.choices_per_prompt = static_cast<int>(body.integer("n", 1, 16).value_or(1));
  return request;
}

/// The number of tokens to generate for a prompt; refused when they do not fit the context.
int fitting_length(const GenerationRequest& base,
                   std::optional<std::int64_t> max_tokens,
                   const ApiContext& context,
                   const char* param) {
  const std::int64_t given = base.given_tokens();
  const std::int64_t room = context.model.max_context - given;
  const std::int64_t length =
      max_tokens.value_or(std::min<std::int64_t>(512, std::max<std::int64_t>(room, 1)));
  require_room(given, length, context.model, param);
  if (length < base.rules.min_tokens) {
    reject("min_tokens",
           concat("`min_tokens` is ",
                  base.rules.min_tokens,
                  "; it must be at most the ",
                  length,
                  " tokens to generate"));
  }
  return static_cast<int>(length);
}

void check_total(std::int64_t total, const GenerationDefaults& defaults) {
  if (total <= defaults.max_request_tokens) return;
  reject("n",
         concat("all choices together are ",
                total,
                " tokens to generate; at most ",
                defaults.max_request_tokens,
                " are allowed"));
}

/// Refuses a request whose choices could never all be queued, before any is submitted.
void check_choices(std::size_t prompts,
                   int choices_per_prompt,
                   const GenerationDefaults& defaults) {
  const std::int64_t choices = static_cast<std::int64_t>(prompts) * choices_per_prompt;
  if (choices <= defaults.max_choices) return;
  reject(choices_per_prompt > 1 ? "n" : "prompt",
         concat("`n` is ",
                choices_per_prompt,
                " for ",
                prompts,
                " prompts, ",
                choices,
                " choices in all; at most ",
                defaults.max_choices,
                " are allowed"));
}

/// One generation for each choice. Several prompts have the same `max_tokens`.
void add_choices(const Fields& body,
                 const ApiContext& context,
                 const std::vector<std::vector<TokenId>>& prompts,
                 std::optional<std::int64_t> max_tokens,
                 ApiRequest& request) {
  check_choices(prompts.size(), request.choices_per_prompt, context.defaults);
  const char* param = request.chat ? "messages" : "prompt";
  GenerationRequest base = read_decoding(body, context, request);
  if (!request.chat) base.suffix = read_suffix(body, context, max_tokens.value_or(1));
  for (const std::vector<TokenId>& prompt : prompts) {
    if (prompt.empty()) reject(param, "the prompt is empty");
    base.prompt = prompt;
    base.max_tokens = fitting_length(base, max_tokens, context, param);
    check_total(std::ssize(prompts) * request.choices_per_prompt * base.max_tokens,
                context.defaults);
    GenerationRequest choice = base;
    read_diffusion(body, choice);
    request.trace = choice.trace;
    request.answer.to_the_end = choice.trace;
    for (int i = 0; i < request.choices_per_prompt; ++i) {
      request.choices.push_back(choice);
      ++choice.sampling.seed;  // so that the choices differ
    }
  }
}

}  // namespace

Error unknown_model(std::string_view name) {
  return {Code::kNotFound, concat("The model `", name.substr(0, 80), "` does not exist."), "model"};
}

Answer ApiRequest::new_answer(std::size_t choice, const Tokenizer& tokenizer) const {
  AnswerOptions options = answer;
  if (!echo.empty()) options.echo = echo[choice / choices_per_prompt];
  return {tokenizer, choices[choice], std::move(options)};
}

Result<ApiRequest> parse_chat_request(const json::object& body, const ApiContext& context) {
  return catching_field_errors([&] {
    const Fields fields(body);
    ApiRequest request = read_common(fields, context, /*chat=*/true);
    refuse_in_chat(fields);
    auto max_tokens = fields.integer("max_completion_tokens", 1, kMostTokens);
    if (!max_tokens) max_tokens = fields.integer("max_tokens", 1, kMostTokens);
    const auto prompt = encode_chat(fields, context, max_tokens.value_or(1));
    add_choices(fields, context, {prompt}, max_tokens, request);
    return request;
  });
}

Result<ApiRequest> parse_completion_request(const json::object& body, const ApiContext& context) {
  return catching_field_errors([&] {
    const Fields fields(body);
    ApiRequest request = read_common(fields, context, /*chat=*/false);
    const auto max_tokens = fields.integer("max_tokens", 1, kMostTokens).value_or(16);
    const auto prompts = read_prompts(fields, context, max_tokens);
    if (fields.boolean("echo", false))
      request.echo = prompt_texts(fields, prompts, context.tokenizer, request.answer.skip_special);
    add_choices(fields, context, prompts, max_tokens, request);
    if (!request.echo.empty() && request.choices.front().top_logprobs >= 0)
      reject("echo", "`echo` with `logprobs`, to score a given text, is not supported");
    return request;
  });
}

}  // namespace rubato
