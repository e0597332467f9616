// Commits in any order: what is streamed, joined, is what is answered in one piece.
#include <boost/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "http/openai/stream.h"
#include "runtime/base/check.h"
#include "tests/fuzz/front.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/targets.h"

namespace rubato::fuzz {
namespace {

namespace json = boost::json;

/// The text in a stream's events.
std::string text_of(std::string_view events) {
  std::string text;
  while (!events.empty()) {
    const std::size_t end = events.find("\n\n");
    RUBATO_CHECK(events.starts_with("data: ") && end != std::string_view::npos);
    const json::value event = json::parse(events.substr(6, end - 6));
    for (const json::value& choice : event.at("choices").as_array())
      text += choice.at("text").as_string();
    events.remove_prefix(end + 2);
  }
  return text;
}

ApiRequest request_of(Input& input) {
  ApiRequest request;
  request.stream = true;
  GenerationRequest& choice = request.choices.emplace_back();
  choice.prompt = {1};
  choice.policy.policy = find_policy("elastic");
  choice.max_tokens = 1 + input.up_to(63);
  choice.top_logprobs = input.up_to(3) - 1;
  AnswerOptions& options = request.answer;
  options.include_stop = input.flag();
  options.skip_special = input.flag();
  options.min_tokens = input.up_to(8);
  if (input.flag()) options.stop_ids = front().model.stop_ids;
  for (int left = input.up_to(4); left > 0; --left) {
    std::string& stop = options.stop.emplace_back();
    for (int i = 1 + input.up_to(4); i > 0; --i) stop += static_cast<char>('!' + input.up_to(93));
  }
  if (input.flag()) request.echo = {std::string(1 + input.up_to(3), '1')};
  return request;
}

/// The next step's commits, of positions not yet in `filled`.
GenerationUpdate update_of(Input& input,
                           const GenerationRequest& choice,
                           std::vector<bool>& filled) {
  GenerationUpdate update;
  for (int left = 1 + input.up_to(5); left > 0; --left) {
    const int at = input.up_to(choice.max_tokens - 1);
    if (filled[at]) continue;
    filled[at] = true;
    const int number = input.byte() << 8 | input.byte();
    update.commits.push_back({at + 1, number % front().tokenizer.vocabulary_size()});
    if (choice.top_logprobs >= 0)
      update.logprobs.push_back({-1.0, std::vector<TokenLogprob>(choice.top_logprobs)});
  }
  update.finished = std::ranges::all_of(filled, std::identity());
  return update;
}

}  // namespace

void answer_stream(std::string_view bytes) {
  Input input(bytes);
  const ApiRequest request = request_of(input);
  const GenerationRequest& choice = request.choices[0];
  AnswerStream stream(request, front().model, front().tokenizer);
  std::vector<bool> filled(choice.max_tokens, false);
  std::string streamed;
  while (!stream.complete() && !input.empty()) {
    const GenerationUpdate update = update_of(input, choice, filled);
    const std::string told = text_of(stream.add(0, update));
    streamed += told;
    const std::string& whole = stream.answers()[0].text();
    RUBATO_CHECK(whole.starts_with(streamed), streamed, " | ", whole);
    RUBATO_CHECK(told == to_valid_utf8(told), told);
  }
  if (stream.complete()) RUBATO_CHECK(streamed == stream.answers()[0].text());
}

}  // namespace rubato::fuzz
