#include "http/openai/decoding_fields.h"

#include <algorithm>
#include <charconv>
#include <random>

namespace rubato {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostBiases = 1024;
constexpr double kMostBias = 100;
constexpr int kMostTopLogprobs = 20;

SamplingParams read_sampling(const Fields& body) {
  SamplingParams sampling;
  sampling.temperature = body.number("temperature", 0, 2).value_or(0);
  sampling.top_p = body.number("top_p", 0, 1, /*above=*/true).value_or(1);
  sampling.top_k = static_cast<int>(
      std::max<std::int64_t>(0, body.integer("top_k", -1, kMostTokens).value_or(0)));
  const auto seed = body.integer(
      "seed", std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max());
  sampling.seed = seed ? static_cast<std::uint64_t>(*seed) : std::random_device{}();
  return sampling;
}

/// A key of `logit_bias`: an id in decimal digits.
TokenId read_biased_token(std::string_view key, const ApiContext& context) {
  TokenId id = -1;
  const auto [end, failure] = std::from_chars(key.data(), key.data() + key.size(), id);
  const bool known = failure == std::errc() && end == key.data() + key.size() && id >= 0 &&
                     id < context.model.vocab_size && id != context.model.mask_id;
  if (!known) {
    reject("logit_bias",
           concat("`logit_bias` has the key \"",
                  key.substr(0, 40),
                  "\"; keys are token ids from 0 to ",
                  context.model.vocab_size - 1,
                  ", the mask token excepted"));
  }
  return id;
}

std::vector<TokenBias> read_logit_bias(const Fields& body, const ApiContext& context) {
  const auto* value = body.find("logit_bias");
  if (value == nullptr) return {};
  if (!value->is_object() || value->get_object().size() > kMostBiases) {
    reject("logit_bias",
           concat("`logit_bias` must be an object of up to ", kMostBiases, " ids and numbers"));
  }
  const Fields fields(value->get_object(), "logit_bias.");
  std::vector<TokenBias> biases;
  for (const auto& entry : value->get_object()) {
    const std::string key(entry.key());
    const TokenId token = read_biased_token(key, context);
    const auto bias = fields.number(key.c_str(), -kMostBias, kMostBias);
    if (bias) biases.push_back({token, static_cast<float>(*bias)});
  }
  std::ranges::sort(biases, {}, &TokenBias::token);
  const auto again = std::ranges::adjacent_find(biases, {}, &TokenBias::token);
  if (again != biases.end())  // "7" and "07"
    reject("logit_bias", concat("`logit_bias` names token ", again->token, " twice"));
  return biases;
}

/// How many top log-probabilities are requested; -1: none, not even the token's own.
int read_top_logprobs(const Fields& body, bool chat) {
  if (!chat) {
    const auto* value = body.find("logprobs");
    if (value != nullptr && value->is_bool() && !value->get_bool()) return -1;
    return static_cast<int>(body.integer("logprobs", 0, kMostTopLogprobs).value_or(-1));
  }
  const bool asked = body.boolean("logprobs", false);
  const auto top = body.integer("top_logprobs", 0, kMostTopLogprobs);
  if (top.value_or(0) > 0 && !asked)
    reject("top_logprobs", "`top_logprobs` is allowed with `logprobs`: true only");
  return asked ? static_cast<int>(top.value_or(0)) : -1;
}

}  // namespace

GenerationRequest read_decoding(const Fields& body,
                                const ApiContext& context,
                                const ApiRequest& request) {
  GenerationRequest base;
  base.policy = context.defaults.policy;
  base.commit = context.defaults.commit;
  base.sampling = read_sampling(body);
  base.ignore_eos = body.boolean("ignore_eos", false);
  base.top_logprobs = read_top_logprobs(body, request.chat);
  base.rules.bias = read_logit_bias(body, context);
  base.rules.min_tokens = request.answer.min_tokens;
  if (base.rules.min_tokens > 0) base.rules.late = request.answer.stop_ids;
  return base;
}

}  // namespace rubato
