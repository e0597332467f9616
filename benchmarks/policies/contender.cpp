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

std::string known_policies(const std::string& separator) {
  std::string listed;
  for (const Policy* policy : policies())
    listed += (listed.empty() ? "" : separator) + std::string(policy->name);
  return listed;
}

/// Cuts `text` at the first `separator`: what stood before it, leaving what stands after it.
std::string_view cut(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view head = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return head;
}

/// The parts between separators: one more than there are separators.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t end; (end = text.find(separator)) != std::string_view::npos;) {
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  parts.push_back(text);
  return parts;
}

/// A JSON number, null, true or false as such; any other word is a string.
json::value value_of(std::string_view word) {
  boost::system::error_code code;
  json::value value = json::parse(word, code);
  return code ? json::value(word) : value;
}

}  // namespace

std::vector<std::string> default_contenders() {
  std::vector<std::string> names = {"none:threshold=null"};
  for (const Policy* policy : policies()) names.emplace_back(policy->name);
  return names;
}

Result<Contender> parse_contender(std::string_view text) {
  Contender contender{std::string(text), {}};
  const std::string_view policy = cut(text, ':');
  if (find_policy(policy) == nullptr) {
    return invalid(concat("\"",
                          contender.name,
                          "\" names no policy; there are ",
                          known_policies(", "),
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

Result<std::vector<Contender>> parse_sweep(std::string_view text) {
  const std::string every =
      known_policies("/") + std::string(text.substr(std::min<std::size_t>(3, text.size())));
  if (text == "all" || text.starts_with("all:")) text = every;
  std::vector<std::string> names = {""};
  for (const std::string_view part : split(text, ':')) {
    const std::size_t equals = part.find('=');
    const std::size_t begin = equals == std::string_view::npos ? 0 : equals + 1;
    std::vector<std::string> longer;
    for (const std::string& name : names) {
      for (const std::string_view value : split(part.substr(begin), '/')) {
        if (value.empty()) return invalid(concat("\"", part, "\" in \"", text, "\" lacks a value"));
        longer.push_back(concat(name, name.empty() ? "" : ":", part.substr(0, begin), value));
      }
    }
    names = std::move(longer);
  }
  std::vector<Contender> contenders;
  for (const std::string& name : names) {
    Result<Contender> contender = parse_contender(name);
    if (!contender) return contender.error();
    contenders.push_back(*std::move(contender));
  }
  return contenders;
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
