#include "runtime/decoding/logit_rules.h"

namespace rubato {
namespace {

/// Far below every real logit, so that the probability is 0, yet finite, so that the difference of
/// two is a number.
constexpr float kNever = -1e30f;

}  // namespace

void apply_rules(const LogitRules& rules, int index, TokenId first_id, std::span<float> logits) {
  const auto local = [&](TokenId token) -> float* {
    const std::int64_t at = std::int64_t{token} - first_id;
    return at >= 0 && at < std::ssize(logits) ? &logits[at] : nullptr;
  };
  for (const auto& [token, bias] : rules.bias) {
    if (float* logit = local(token)) *logit += bias;
  }
  if (index >= rules.min_tokens) return;
  for (const TokenId token : rules.late) {
    if (float* logit = local(token)) *logit = kNever;
  }
}

}  // namespace rubato
