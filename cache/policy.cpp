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

template <class Number>
Error out_of_range(const char* name, Number found, Number least, Number most) {
  return {Code::kInvalidArgument,
          concat(name, " is ", found, "; allowed: ", least, " to ", most),
          name};
}

}  // namespace

std::string_view to_string(DriftMeasure measure) {
  return kDriftMeasures[static_cast<std::size_t>(measure)];
}

std::optional<DriftMeasure> parse_drift_measure(std::string_view name) {
  for (const DriftMeasure measure : {DriftMeasure::kHeads, DriftMeasure::kRows})
    if (name == to_string(measure)) return measure;
  return std::nullopt;
}

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
  if (!(params.gamma >= 0 && params.gamma <= kMostGamma))
    return out_of_range("gamma", params.gamma, 0.0, kMostGamma);
  for (const PolicyParameter& parameter : kPolicyParameters) {
    const int value = params.*parameter.value;
    if (value < parameter.least || value > parameter.most)
      return out_of_range(parameter.name, value, parameter.least, parameter.most);
  }
  return {};
}

}  // namespace rubato
