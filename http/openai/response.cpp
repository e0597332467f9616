#include "http/openai/response.h"

#include <boost/json.hpp>
#include <chrono>
#include <random>

#include "http/openai/json_text.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

namespace json = boost::json;

json::value numbers(std::span<const TokenId> ids) {
  return json::value(json::array(ids.begin(), ids.end()));
}

json::object trace_entry(const StepTrace& step) {
  json::array committed;
  for (const Commit& commit : step.committed) committed.push_back({commit.position, commit.token});
  return {{"boundary", step.boundary ? json::value(*step.boundary) : json::value(nullptr)},
          {"similarity", json::array(step.similarity.begin(), step.similarity.end())},
          {"tracked", json::array(step.tracked.begin(), step.tracked.end())},
          {"committed", std::move(committed)}};
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
    for (const StepTrace& step : answer.trace()) trace.push_back(trace_entry(step));
    object["trace"] = std::move(trace);
  }
  return object;
}

json::value stop_reason_of(const Answer& answer) {
  if (const auto* text = std::get_if<std::string>(&answer.stop_reason())) return json::value(*text);
  if (const auto* id = std::get_if<TokenId>(&answer.stop_reason())) return json::value(*id);
  return nullptr;
}

json::object usage_of(const ApiRequest& request, const std::vector<Answer>& answers) {
  std::int64_t prompt = 0, completion = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (i % request.choices_per_prompt == 0) prompt += std::ssize(request.choices[i].prompt);
    completion += std::ssize(answers[i].token_ids());
  }
  return {{"prompt_tokens", prompt},
          {"completion_tokens", completion},
          {"total_tokens", prompt + completion}};
}

json::object finish_of(const ApiRequest& request, std::size_t i, const Answer& answer) {
  json::object choice{{"index", i},
                      {"finish_reason", answer.finish_reason()},
                      {"stop_reason", stop_reason_of(answer)},
                      {"logprobs", nullptr},
                      {"diffusion", diffusion_of(request.choices[i], answer)}};
  if (request.return_token_ids) {
    choice["prompt_token_ids"] = numbers(request.choices[i].prompt);
    choice["token_ids"] = numbers(answer.token_ids());
  }
  return choice;
}

json::object chunk_of(const ResponseHead& head, const ApiRequest& request, json::array choices) {
  json::object chunk{{"id", head.id},
                     {"object", request.chat ? "chat.completion.chunk" : "text_completion"},
                     {"created", head.created},
                     {"model", head.model},
                     {"system_fingerprint", nullptr},
                     {"choices", std::move(choices)}};
  if (request.include_usage) chunk["usage"] = nullptr;  // as OpenAI does until the last chunk
  return chunk;
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
          {"drift", policy.drift == DriftMeasure::kHeads ? "heads" : "rows"},
          {"track", policy.track},
          {"refresh_every", policy.refresh_every}};
}

ResponseHead make_head(const ApiRequest& request, const ServedModel& model) {
  static constexpr char kHex[] = "0123456789abcdef";
  thread_local std::mt19937_64 random{std::random_device{}()};
  std::string id = request.chat ? "chatcmpl-" : "cmpl-";
  for (int i = 0; i < 24; ++i) id += kHex[random() & 15];
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {std::move(id), std::chrono::duration_cast<std::chrono::seconds>(now).count(), model.id};
}

json::object make_response(const ResponseHead& head,
                           const ApiRequest& request,
                           const std::vector<Answer>& answers) {
  json::array choices;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    json::object choice = finish_of(request, i, answers[i]);
    if (request.chat) {
      choice["message"] = {
          {"role", "assistant"}, {"content", answers[i].text()}, {"refusal", nullptr}};
    } else {
      choice["text"] = answers[i].text();
    }
    choices.push_back(std::move(choice));
  }
  json::object response = chunk_of(head, request, std::move(choices));
  response["object"] = request.chat ? "chat.completion" : "text_completion";
  response["usage"] = usage_of(request, answers);
  return response;
}

json::object make_text_chunk(const ResponseHead& head,
                             const ApiRequest& request,
                             std::size_t i,
                             const std::string& text,
                             bool first) {
  json::object choice{{"index", i}, {"finish_reason", nullptr}, {"logprobs", nullptr}};
  if (!request.chat) {
    choice["text"] = text;
  } else if (first) {
    choice["delta"] = {{"role", "assistant"}, {"content", ""}};
  } else {
    choice["delta"] = {{"content", text}};
  }
  return chunk_of(head, request, {std::move(choice)});
}

json::object make_trace_chunk(const ResponseHead& head,
                              const ApiRequest& request,
                              std::size_t i,
                              const StepTrace& trace) {
  json::object choice{{"index", i},
                      {"finish_reason", nullptr},
                      {"logprobs", nullptr},
                      {"diffusion", {{"trace", json::array{trace_entry(trace)}}}}};
  if (request.chat) {
    choice["delta"] = json::object{};
  } else {
    choice["text"] = "";
  }
  return chunk_of(head, request, {std::move(choice)});
}

json::object make_final_chunk(const ResponseHead& head,
                              const ApiRequest& request,
                              std::size_t i,
                              const Answer& answer) {
  json::object choice = finish_of(request, i, answer);
  if (request.chat) {
    choice["delta"] = json::object{};
  } else {
    choice["text"] = "";
  }
  choice["diffusion"].as_object().erase("trace");  // each step's entry went before
  return chunk_of(head, request, {std::move(choice)});
}

json::object make_usage_chunk(const ResponseHead& head,
                              const ApiRequest& request,
                              const std::vector<Answer>& answers) {
  json::object chunk = chunk_of(head, request, {});
  chunk["usage"] = usage_of(request, answers);
  return chunk;
}

int http_status(const Error& error) {
  switch (error.code) {
    case Code::kInvalidArgument:
    case Code::kTooLong:
      return 400;
    case Code::kNotFound:
      return 404;
    case Code::kOverloaded:
      return 429;
    case Code::kDeadline:
      return 408;
    case Code::kCancelled:
    case Code::kUnavailable:
      return 503;
    case Code::kInternal:
      return 500;
  }
  return 500;
}

json::object make_error(const Error& error) {
  const int status = http_status(error);
  json::value code = nullptr;
  if (error.code == Code::kTooLong) code = "context_length_exceeded";
  if (error.code == Code::kNotFound && error.param == "model") code = "model_not_found";
  const char* type = status == 429   ? "rate_limit_error"
                     : status >= 500 ? "server_error"
                                     : "invalid_request_error";
  const json::value param =
      error.param.empty() ? nullptr : json::value(bounded_utf8(error.param, 200));
  return {{"error",
           {{"message", bounded_utf8(error.message, 1500)},
            {"type", type},
            {"param", param},
            {"code", std::move(code)}}}};
}

json::object make_model(const ServedModel& model) {
  return {{"id", model.id},
          {"object", "model"},
          {"created", model.created},
          {"owned_by", "rubato"},
          {"max_model_len", model.max_context}};
}

}  // namespace rubato
