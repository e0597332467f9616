#include "http/openai/stream.h"

#include <algorithm>
#include <boost/json.hpp>

#include "http/openai/choice.h"
#include "http/openai/error.h"
#include "http/openai/json_text.h"
#include "http/openai/logprobs.h"

namespace rubato {
namespace {

namespace json = boost::json;

std::string event(const json::object& data) {
  return "data: " + to_json(data) + "\n\n";
}

json::object chunk_of(const ResponseHead& head, const ApiRequest& request, json::array choices) {
  return {{"id", head.id},
          {"object", request.chat ? "chat.completion.chunk" : "text_completion"},
          {"created", head.created},
          {"model", head.model},
          {"system_fingerprint", nullptr},
          {"choices", std::move(choices)}};
}

/// A choice that is not finished.
json::object unfinished(std::size_t choice) {
  return {{"index", choice}, {"finish_reason", nullptr}, {"logprobs", nullptr}};
}

/// Adds text to a chunk's choice, in the form of the route.
void put_text(const ApiRequest& request, const std::string& text, json::object& choice) {
  if (!request.chat) {
    choice["text"] = text;
  } else if (text.empty()) {
    choice["delta"] = json::object{};
  } else {
    choice["delta"] = {{"content", text}};
  }
}

}  // namespace

AnswerStream::AnswerStream(const ApiRequest& request,
                           const ServedModel& model,
                           const Tokenizer& tokenizer)
    : request_(request),
      head_(make_head(request, model)),
      begun_(request.choices.size(), !request.chat),
      tokens_told_(request.choices.size(), 0) {
  for (std::size_t i = 0; i < request.choices.size(); ++i)
    answers_.push_back(request.new_answer(i, tokenizer));
}

bool AnswerStream::complete() const {
  return std::ranges::all_of(answers_, [](const Answer& answer) { return answer.complete(); });
}

std::string AnswerStream::add(std::size_t choice, const GenerationUpdate& update) {
  Answer& answer = answers_[choice];
  const std::string text = answer.add(update);
  const bool traced = update.trace && request_.trace;
  std::string events;
  if (!begun_[choice] && (traced || !text.empty() || answer.complete()))
    events += role_chunk(choice);
  if (traced) {
    json::object body = unfinished(choice);
    body["diffusion"] = {{"trace", json::array{make_trace_entry(*update.trace, answer)}}};
    put_text(request_, "", body);
    events += chunk(std::move(body));
  }
  if (!text.empty()) events += text_chunk(choice, text);
  if (answer.complete()) {
    json::object body = make_finished_choice(request_, choice, answer, tokens_told_[choice]);
    body["diffusion"].as_object().erase("trace");  // each step's entry was sent before
    put_text(request_, "", body);
    events += chunk(std::move(body));
  }
  return events;
}

std::string AnswerStream::role_chunk(std::size_t choice) {
  json::object body = unfinished(choice);
  body["delta"] = {{"role", "assistant"}, {"content", ""}};
  begun_[choice] = true;
  return chunk(std::move(body));
}

std::string AnswerStream::text_chunk(std::size_t choice, const std::string& text) {
  const Answer& answer = answers_[choice];
  const std::size_t told = answer.num_given_tokens();
  json::object body = unfinished(choice);
  body["logprobs"] = make_logprobs(request_, answer, tokens_told_[choice], told);
  put_text(request_, text, body);
  tokens_told_[choice] = told;
  return chunk(std::move(body));
}

std::string AnswerStream::chunk(json::object choice) const {
  json::object data = chunk_of(head_, request_, {std::move(choice)});
  if (request_.continuous_usage) {
    data["usage"] = make_usage(request_, answers_);
  } else if (request_.include_usage) {
    data["usage"] = nullptr;  // as in OpenAI's chunks before the one with usage
  }
  return event(data);
}

std::string AnswerStream::end(const std::optional<Error>& error) const {
  std::string events;
  if (error) {
    events = event(make_error(*error));
  } else if (request_.include_usage) {
    json::object data = chunk_of(head_, request_, {});
    data["usage"] = make_usage(request_, answers_);
    events = event(data);
  }
  return events + "data: [DONE]\n\n";
}

}  // namespace rubato
