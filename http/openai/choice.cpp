#include "http/openai/choice.h"

#include <boost/json.hpp>

#include "http/openai/logprobs.h"

namespace rubato {
namespace {

namespace json = boost::json;

json::value numbers(std::span<const TokenId> ids) {
  return json::value(json::array(ids.begin(), ids.end()));
}

json::object diffusion_of(const GenerationRequest& request, const Answer& answer) {
  const GenerationStats& stats = answer.stats();
  json::object object = diffusion_parameters(request);
  object["forward_passes"] = stats.forward_passes;
  object["refreshes"] = stats.refreshes;
  object["rows_computed"] = stats.rows_computed;
  object["layers_refreshed"] = stats.layers_refreshed;
  if (request.trace) {
    json::array trace;
    for (const StepTrace& step : answer.trace()) trace.push_back(make_trace_entry(step, answer));
    object["trace"] = std::move(trace);
  }
  return object;
}

json::value stop_reason_of(const Answer& answer) {
  if (const auto* text = std::get_if<std::string>(&answer.stop_reason())) return json::value(*text);
  if (const auto* id = std::get_if<TokenId>(&answer.stop_reason())) return json::value(*id);
  return nullptr;
}

}  // namespace

json::object diffusion_parameters(const GenerationRequest& request) {
  const PolicyParams& policy = request.policy;
  const CommitParams& commit = request.commit;
  const auto only_under = [&](CommitRule rule, auto value) {
    return commit.rule == rule ? json::value(value) : json::value(nullptr);
  };
  return {{"policy", std::string(policy.policy->name)},
          {"threshold", only_under(CommitRule::kThreshold, commit.threshold)},
          {"steps", only_under(CommitRule::kSchedule, commit.steps)},
          {"factor", only_under(CommitRule::kFactor, commit.factor)},
          {"block_length", policy.block_length},
          {"window", policy.window},
          {"gamma", policy.gamma},
          {"drift", std::string(to_string(policy.drift))},
          {"track", policy.track},
          {"refresh_every", policy.refresh_every},
          {"horizon", policy.horizon}};
}

json::object make_trace_entry(const StepTrace& step, const Answer& answer) {
  json::array committed;
  for (const Commit& commit : step.committed) committed.push_back({commit.position, commit.token});
  json::object entry{
      {"boundary", step.boundary ? json::value(*step.boundary) : json::value(nullptr)},
      {"similarity", json::array(step.similarity.begin(), step.similarity.end())},
      {"tracked", json::array(step.tracked.begin(), step.tracked.end())},
      {"committed", std::move(committed)}};
  if (answer.has_logprobs()) entry["logprobs"] = make_commit_logprobs(step, answer);
  return entry;
}

json::object make_finished_choice(const ApiRequest& request,
                                  std::size_t i,
                                  const Answer& answer,
                                  std::size_t first_token) {
  json::object choice{
      {"index", i},
      {"finish_reason", answer.finish_reason()},
      {"stop_reason", stop_reason_of(answer)},
      {"logprobs", make_logprobs(request, answer, first_token, answer.token_ids().size())},
      {"diffusion", diffusion_of(request.choices[i], answer)}};
  if (request.return_token_ids) {
    choice["prompt_token_ids"] = numbers(request.choices[i].prompt);
    choice["token_ids"] = numbers(answer.token_ids());
  }
  return choice;
}

json::object make_usage(const ApiRequest& request, const std::vector<Answer>& answers) {
  std::int64_t prompt = 0, completion = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (i % request.choices_per_prompt == 0) prompt += request.choices[i].given_tokens();
    completion += std::ssize(answers[i].token_ids());
  }
  return {{"prompt_tokens", prompt},
          {"completion_tokens", completion},
          {"total_tokens", prompt + completion}};
}

}  // namespace rubato
