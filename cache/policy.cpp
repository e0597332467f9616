#include "cache/policy.h"

#include <algorithm>
#include <array>

#include "cache/policies/policies.h"
#include "runtime/base/check.h"

namespace rubato {
namespace {

// The order is the policies' numbers on the wire: add at the end.
constexpr std::array<const Policy*, 8> kPolicies = {&kNonePolicy,
                                                    &kPrefixPolicy,
                                                    &kDualPolicy,
                                                    &kElasticPolicy,
                                                    &kIntervalPolicy,
                                                    &kDkvPolicy,
                                                    &kFlashPolicy,
                                                    &kHorizonPolicy};

Error out_of_range(const char* name, double found, const char* allowed) {
  return {Code::kInvalidArgument, concat(name, " is ", found, "; allowed: ", allowed), name};
}

}  // namespace

std::span<const Policy* const> policies() {
  return kPolicies;
}

const Policy* find_policy(std::string_view name) {
  const auto found = std::ranges::find(kPolicies, name, &Policy::name);
  return found == kPolicies.end() ? nullptr : *found;
}

Position canvas_reach(const PolicyParams& params, const SequenceView& sequence) {
  const auto reach = params.policy->reach;
  return reach == nullptr ? sequence.canvas_length : reach(params, sequence);
}

std::uint8_t policy_number(const Policy& policy) {
  const auto found = std::ranges::find(kPolicies, &policy);
  RUBATO_CHECK(found != kPolicies.end(), "policy ", policy.name);
  return static_cast<std::uint8_t>(found - kPolicies.begin());
}

Status validate(const PolicyParams& params) {
  if (params.policy == nullptr)
    return Error{Code::kInvalidArgument, "no policy is named", "policy"};
  if (params.window < 1) return out_of_range("window", params.window, "1 or more");
  if (!(params.gamma >= 0 && params.gamma <= 2))
    return out_of_range("gamma", params.gamma, "0 to 2");
  if (params.track < 1 || params.track > kMostTracked)
    return out_of_range("track", params.track, concat("1 to ", kMostTracked).c_str());
  if (params.refresh_every < 1)
    return out_of_range("refresh_every", params.refresh_every, "1 or more");
  if (params.block_length < 1)
    return out_of_range("block_length", params.block_length, "1 or more");
  if (params.horizon < 1) return out_of_range("horizon", params.horizon, "1 or more");
  return {};
}

}  // namespace rubato
