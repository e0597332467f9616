// A request's body: what is taken must be fit for the engine, what is refused must say why.
#include <boost/json.hpp>

#include "http/openai/error.h"
#include "http/openai/json_text.h"
#include "http/openai/response.h"
#include "http/openai/tokenize.h"
#include "runtime/base/check.h"
#include "runtime/engine/messages.h"
#include "tests/fuzz/front.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/targets.h"

namespace rubato::fuzz {
namespace {

namespace json = boost::json;

void check_refusal(const Error& error) {
  RUBATO_CHECK(!error.message.empty() && error.message.size() < 2000, error.message);
  const int status = http_status(error);
  RUBATO_CHECK(status >= 400 && status < 500, status, ' ', error.message);
  json::parse(to_json(make_error(error)));
}

/// Ranks take a request as it comes over the wire.
void check_for_wire(const GenerationRequest& choice) {
  StepPlan plan;
  static_cast<DecodingRequest&>(plan.admissions.emplace_back()) = choice;
  std::vector<std::byte> bytes;
  encode(plan, bytes);
  const Result<StepPlan> received = decode_step_plan(bytes);
  RUBATO_CHECK(received.ok() && *received == plan);
}

void check_taken(const ApiRequest& request) {
  const Front& server = front();
  RUBATO_CHECK(!request.choices.empty());
  std::vector<Answer> answers;
  for (const GenerationRequest& choice : request.choices) {
    RUBATO_CHECK(!choice.prompt.empty() && choice.max_tokens > 0);
    RUBATO_CHECK(choice.canvas_length() <= server.model.max_context);
    check_for_wire(choice);
    answers.push_back(request.new_answer(answers.size(), server.tokenizer));
    answers.back().add(server.engine.update_of(choice));
  }
  json::parse(to_json(make_response(make_head(request, server.model), request, answers)));
}

}  // namespace

void json_request(std::string_view bytes) {
  Input input(bytes);
  const int route = input.up_to(3);
  json::parse_options options;
  options.max_depth = 64;
  boost::system::error_code code;
  const json::value body = json::parse(input.rest(), code, {}, options);
  if (code || !body.is_object()) return;
  const ApiContext api = front().api();
  if (route < 2) {
    const auto request = route == 0 ? parse_chat_request(body.get_object(), api)
                                    : parse_completion_request(body.get_object(), api);
    request.ok() ? check_taken(*request) : check_refusal(request.error());
  } else {
    const auto answer =
        route == 2 ? tokenize(body.get_object(), api) : detokenize(body.get_object(), api);
    answer.ok() ? void(json::parse(to_json(*answer))) : check_refusal(answer.error());
  }
}

}  // namespace rubato::fuzz
