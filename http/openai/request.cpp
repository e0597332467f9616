#include "http/openai/request.h"

#include <algorithm>
#include <random>

#include "http/openai/fields.h"

namespace rubato {
namespace {

namespace json = boost::json;

constexpr std::int64_t kMostTokens = 1 << 20;

/// Fields that mean something only with a value other than these; any such value is refused.
void refuse_unsupported(const Fields& fields) {
  for (const char* key :
       {"logit_bias", "stop_token_ids", "suffix", "tools", "audio", "functions"}) {
    const auto* value = fields.find(key);
    const bool empty = value == nullptr || (value->is_array() && value->get_array().empty()) ||
                       (value->is_object() && value->get_object().empty()) ||
                       (value->is_string() && value->get_string().empty());
    if (!empty) reject(key, concat("`", key, "` is not supported yet"));
  }
  for (const char* key : {"logprobs", "echo", "include_stop_str_in_output"}) {
    const auto* value = fields.find(key);
    if (value != nullptr && !(value->is_bool() && !value->get_bool()))
      reject(key, concat("`", key, "` is not supported yet"));
  }
  for (const char* key :
       {"presence_penalty", "frequency_penalty", "min_p", "min_tokens", "top_logprobs"}) {
    const auto* value = fields.find(key);
    if (value != nullptr && !(value->is_number() && value->to_number<double>() == 0))
      reject(key, concat("`", key, "` is not supported yet; leave it out or 0"));
  }
  for (const char* key : {"best_of", "repetition_penalty"}) {
    const auto* value = fields.find(key);
    if (value != nullptr && !(value->is_number() && value->to_number<double>() == 1))
      reject(key, concat("`", key, "` is not supported; leave it out or 1"));
  }
  for (const char* key : {"skip_special_tokens", "add_special_tokens"}) {
    const auto* value = fields.find(key);
    if (value != nullptr && !(value->is_bool() && value->get_bool()))
      reject(key, concat("`", key, "` is not supported yet; leave it out or true"));
  }
  if (fields.find("chat_template") != nullptr)
    reject("chat_template", "`chat_template` is the server's to choose");
  if (const auto* format = fields.find("response_format")) {
    const bool text = format->is_object() && format->get_object().contains("type") &&
                      format->get_object().at("type") == "text";
    if (!text) reject("response_format", "`response_format` supports {\"type\": \"text\"} only");
  }
}

DriftMeasure drift_measure(const Fields& fields, DriftMeasure otherwise) {
  const auto text = fields.string("drift");
  if (!text) return otherwise;
  if (*text == "heads") return DriftMeasure::kHeads;
  if (*text == "rows") return DriftMeasure::kRows;
  reject(fields.name("drift"), "`diffusion.drift` must be \"heads\" or \"rows\"");
}

const Policy* policy_named(const Fields& fields, const Policy* otherwise) {
  const auto name = fields.string("policy");
  if (!name) return otherwise;
  if (const Policy* found = find_policy(*name)) return found;
  std::string known;
  for (const Policy* policy : policies())
    known += (known.empty() ? "" : ", ") + std::string(policy->name);
  reject(fields.name("policy"), "`diffusion.policy` must be one of: " + known);
}

void read_commit_rule(const json::object& object,
                      const Fields& fields,
                      GenerationRequest& request,
                      int num_blocks) {
  CommitParams& commit = request.commit;
  const bool threshold_is_null = object.contains("threshold") && object.at("threshold").is_null();
  const auto threshold = fields.number("threshold", 0, 1, /*above=*/true);
  const auto steps = fields.integer("steps", 1, kMostTokens);
  const auto factor = fields.number("factor", 0, 1e6, /*above=*/true);
  if ((threshold && steps) || (threshold && factor) || (steps && factor)) {
    reject("diffusion",
           "`diffusion` takes one of threshold, steps and factor (set threshold to null for the "
           "others)");
  }
  if (threshold) {
    commit = {.rule = CommitRule::kThreshold, .threshold = *threshold};
  } else if (factor) {
    commit.rule = CommitRule::kFactor;
    commit.factor = *factor;
  } else if (steps || threshold_is_null) {
    commit.rule = CommitRule::kSchedule;
    commit.steps = steps ? static_cast<int>(*steps) : request.max_tokens;
    if (steps && commit.steps % num_blocks != 0) {
      reject("diffusion.steps",
             concat("`diffusion.steps` is ",
                    commit.steps,
                    "; it must be a multiple of the ",
                    num_blocks,
                    " blocks"));
    }
  }
}

void read_diffusion(const Fields& body, GenerationRequest& request) {
  static const json::object kNone;
  const auto* value = body.find("diffusion");
  if (value != nullptr && !value->is_object()) reject("diffusion", "`diffusion` must be an object");
  const json::object& object = value == nullptr ? kNone : value->get_object();
  static constexpr std::string_view kKnown[] = {"policy",
                                                "threshold",
                                                "steps",
                                                "factor",
                                                "block_length",
                                                "window",
                                                "gamma",
                                                "drift",
                                                "track",
                                                "refresh_every",
                                                "trace"};
  for (const auto& field : object) {
    if (std::ranges::find(kKnown, std::string_view(field.key())) == std::end(kKnown)) {
      reject("diffusion",
             concat("`diffusion` has no parameter `", std::string(field.key()).substr(0, 40), "`"));
    }
  }
  const Fields fields(object, "diffusion.");
  PolicyParams& policy = request.policy;
  policy.policy = policy_named(fields, policy.policy);
  const auto set = [&](const char* key, int& to, std::int64_t most) {
    to = static_cast<int>(fields.integer(key, 1, most).value_or(to));
  };
  set("window", policy.window, kMostTokens);
  set("track", policy.track, kMostTokens);
  set("refresh_every", policy.refresh_every, kMostTokens);
  set("block_length", policy.block_length, kMostTokens);
  policy.gamma = fields.number("gamma", 0, 2).value_or(policy.gamma);
  policy.drift = drift_measure(fields, policy.drift);
  request.trace = fields.boolean("trace", false);
  if (fields.find("block_length") != nullptr && request.max_tokens % policy.block_length != 0) {
    reject("diffusion.block_length",
           concat("`diffusion.block_length` is ",
                  policy.block_length,
                  "; it must divide the ",
                  request.max_tokens,
                  " tokens to generate"));
  }
  const int length = std::min(policy.block_length, request.max_tokens);
  const int num_blocks = policy.policy->by_block ? (request.max_tokens + length - 1) / length : 1;
  read_commit_rule(object, fields, request, num_blocks);
}

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

std::vector<TokenId> read_ids(const json::array& list,
                              const std::string& param,
                              const ApiContext& context) {
  std::vector<TokenId> ids;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const bool known = list[i].is_int64() && list[i].get_int64() >= 0 &&
                       list[i].get_int64() < context.tokenizer.vocabulary_size();
    if (!known)
      reject(param,
             concat("token ",
                    i,
                    " is ",
                    Fields::shown(list[i]),
                    "; ids are integers from 0 to ",
                    context.tokenizer.vocabulary_size() - 1));
    if (list[i].get_int64() == context.model.mask_id)
      reject(param, concat("token ", i, " is the mask token, which a prompt cannot hold"));
    ids.push_back(static_cast<TokenId>(list[i].get_int64()));
  }
  return ids;
}

std::vector<std::vector<TokenId>> read_prompts(const Fields& body, const ApiContext& context) {
  const auto* value = body.find("prompt");
  if (value == nullptr) reject("prompt", "`prompt` is required");
  const char* allowed =
      "`prompt` must be a string, a list of strings, a list of token ids, or a list of such lists";
  if (value->is_string()) return {context.tokenizer.encode(value->get_string())};
  if (!value->is_array() || value->get_array().empty()) reject("prompt", allowed);
  const json::array& list = value->get_array();
  if (list[0].is_number()) return {read_ids(list, "prompt", context)};
  std::vector<std::vector<TokenId>> prompts;
  for (const json::value& one : list) {
    if (one.is_string()) {
      prompts.push_back(context.tokenizer.encode(one.get_string()));
    } else if (one.is_array()) {
      prompts.push_back(read_ids(one.get_array(), "prompt", context));
    } else {
      reject("prompt", allowed);
    }
  }
  return prompts;
}

std::string read_content(const json::value& content, const std::string& param) {
  if (content.is_string()) return std::string(content.get_string());
  if (!content.is_array())
    reject(param, concat("`", param, "` must be a string or a list of text parts"));
  std::string text;
  for (const json::value& part : content.get_array()) {
    const json::value* piece = part.is_object() ? part.get_object().if_contains("text") : nullptr;
    const json::value* type = part.is_object() ? part.get_object().if_contains("type") : nullptr;
    if (piece == nullptr || !piece->is_string() || type == nullptr || *type != "text")
      reject(param, concat("`", param, "` may hold text parts only"));
    text += piece->get_string();
  }
  return text;
}

std::vector<ChatMessage> read_messages(const Fields& body) {
  static constexpr std::string_view kRoles[] = {"system", "developer", "user", "assistant", "tool"};
  const auto* value = body.find("messages");
  if (value == nullptr || !value->is_array() || value->get_array().empty())
    reject("messages", "`messages` must be a list of at least one message");
  std::vector<ChatMessage> messages;
  for (const json::value& message : value->get_array()) {
    const std::string path = concat("messages[", messages.size(), "]");
    if (!message.is_object()) reject(path, concat("`", path, "` must be an object"));
    const Fields fields(message.get_object(), path + ".");
    const auto role = fields.string("role");
    if (!role || std::ranges::find(kRoles, *role) == std::end(kRoles))
      reject(
          fields.name("role"),
          concat("`", fields.name("role"), "` must be system, developer, user, assistant or tool"));
    const auto* content = fields.find("content");
    if (content == nullptr)
      reject(fields.name("content"), concat("`", fields.name("content"), "` is required"));
    messages.push_back({*role, read_content(*content, fields.name("content"))});
  }
  return messages;
}

/// Everything that chat and completions share, but for the prompts and the length.
ApiRequest read_common(const Fields& body, const ApiContext& context) {
  if (const auto model = body.string("model"); model && *model != context.model.id) {
    reject(
        "model", concat("The model `", model->substr(0, 80), "` does not exist."), Code::kNotFound);
  }
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
