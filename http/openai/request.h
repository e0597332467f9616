#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "http/openai/answer.h"
#include "runtime/engine/generation.h"
#include "runtime/text/chat_template.h"
#include "runtime/text/tokenizer.h"

namespace rubato {

/// The model as clients see it.
struct ServedModel {
  std::string id;
  std::int64_t created = 0;  ///< Unix seconds
  int max_context = 0;
  int vocab_size = 0;  ///< ids are below this; the tokenizer may have fewer
  TokenId mask_id = 0;
  std::vector<TokenId> stop_ids;  ///< where text is cut: EOS and end of turn
  int num_layers = 0;
};

/// Defaults and limits of requests.
struct GenerationDefaults {
  PolicyParams policy;
  CommitParams commit;
  std::int64_t max_request_tokens = 16384;  ///< n x max_tokens of one request
  std::int64_t max_choices = kAnyNumber;    ///< prompts x n of one request

  static constexpr std::int64_t kAnyNumber = std::numeric_limits<std::int64_t>::max();
};

/// Everything that parsing a request needs; borrowed.
struct ApiContext {
  const ServedModel& model;
  const Tokenizer& tokenizer;
  const ChatTemplate* chat_template;  ///< null: chat is refused
  const GenerationDefaults& defaults;
};

/// A validated request: one generation for each choice.
struct ApiRequest {
  bool chat = false;
  bool stream = false;
  bool include_usage = false;     ///< a stream ends with a chunk of usage
  bool continuous_usage = false;  ///< every chunk of a stream carries the usage so far
  bool return_token_ids = false;
  bool trace = false;
  AnswerOptions answer;                    ///< of every choice; `echo` aside
  std::vector<std::string> echo;           ///< by prompt, the text to repeat; empty: none
  std::vector<GenerationRequest> choices;  ///< prompts x n, in order
  int choices_per_prompt = 1;

  /// The object that turns the choice's updates into its answer.
  Answer new_answer(std::size_t choice, const Tokenizer& tokenizer) const;
};

/// The error for a request for a model that is not served.
Error unknown_model(std::string_view name);

/// Errors have the dotted path of the field and what is allowed.
Result<ApiRequest> parse_chat_request(const boost::json::object& body, const ApiContext& context);
Result<ApiRequest> parse_completion_request(const boost::json::object& body,
                                            const ApiContext& context);

}  // namespace rubato
