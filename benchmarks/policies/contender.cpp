#include "benchmarks/policies/contender.h"

#include <boost/json.hpp>

#include "cache/policy.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

namespace json = boost::json;

Error invalid(std::string message) {
  return {Code::kInvalidArgument, std::move(message), "--policies"};
}

std::string known_policies() {
  std::string listed;
  for (const Policy* policy : policies())
    listed += (listed.empty() ? "" : ", ") + std::string(policy->name);
  return listed;
}

/// Cuts `text` at the first `separator`: what stood before it, leaving what stands after it.
std::string_view cut(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view head = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return head;
}

/// A JSON number, null, true or false as such; any other word is a string.
json::value value_of(std::string_view word) {
  boost::system::error_code code;
  json::value value = json::parse(word, code);
  return code ? json::value(word) : value;
}

}  // namespace

Result<Contender> parse_contender(std::string_view text) {
  Contender contender{std::string(text), {}};
  const std::string_view policy = cut(text, ':');
  if (find_policy(policy) == nullptr) {
    return invalid(concat("\"",
                          contender.name,
                          "\" names no policy; there are ",
                          known_policies(),
                          " in this build"));
  }
  contender.diffusion["policy"] = policy;
  while (!text.empty()) {
    std::string_view value = cut(text, ':');
    const std::string_view whole = value, key = cut(value, '=');
    if (key.empty() || value.empty())
      return invalid(concat("\"", whole, "\" in \"", contender.name, "\" is not PARAMETER=VALUE"));
    contender.diffusion[key] = value_of(value);
  }
  return contender;
}

std::string describe_commit_rule(const GenerationRequest& request) {
  const CommitParams& commit = request.commit;
  switch (commit.rule) {
    case CommitRule::kThreshold:
      return concat("confidence >= ", commit.threshold);
    case CommitRule::kSchedule:
      return request.max_tokens % commit.steps == 0
                 ? concat(request.max_tokens / commit.steps, " a step")
                 : concat(request.max_tokens, " in ", commit.steps, " steps");
    case CommitRule::kFactor:
      return concat("factor ", commit.factor);
  }
  return {};
}

}  // namespace rubato
