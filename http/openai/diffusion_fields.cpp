#include "http/openai/diffusion_fields.h"

#include <algorithm>

namespace rubato {
namespace {

namespace json = boost::json;

DriftMeasure drift_measure(const Fields& fields, DriftMeasure otherwise) {
  const auto text = fields.string("drift");
  if (!text) return otherwise;
  if (const auto measure = parse_drift_measure(*text)) return *measure;
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
                      GenerationRequest& request) {
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
    // By default one token per step, even if the last block is shorter: blocks have equally many.
    commit.steps = steps ? static_cast<int>(*steps) : request.block_length() * request.num_blocks();
    if (steps && commit.steps % request.num_blocks() != 0) {
      reject("diffusion.steps",
             concat("`diffusion.steps` is ",
                    commit.steps,
                    "; it must be a multiple of the ",
                    request.num_blocks(),
                    " blocks"));
    }
  }
}

}  // namespace

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
                                                "horizon",
                                                "trace"};
  for (const auto& field : object) {
    if (std::ranges::find(kKnown, std::string_view(field.key())) == std::end(kKnown)) {
      const std::string key(field.key().substr(0, 40));
      reject("diffusion." + key, concat("`diffusion` has no parameter `", key, "`"));
    }
  }
  const Fields fields(object, "diffusion.");
  PolicyParams& policy = request.policy;
  policy.policy = policy_named(fields, policy.policy);
  for (const auto& [name, place, least, most] : kPolicyParameters) {
    int& parameter = policy.*place;
    parameter = static_cast<int>(fields.integer(name, least, most).value_or(parameter));
  }
  policy.gamma = fields.number("gamma", 0, kMostGamma).value_or(policy.gamma);
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
  read_commit_rule(object, fields, request);
}

}  // namespace rubato
