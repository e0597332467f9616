#pragma once

#include <optional>
#include <string>
#include <vector>

#include "http/openai/response.h"

namespace rubato {

/// A request's answers as server-sent events, made from each update. Not thread safe.
class AnswerStream {
 public:
  /// `request` must outlive this.
  AnswerStream(const ApiRequest& request, const ServedModel& model, const Tokenizer& tokenizer);

  const std::vector<Answer>& answers() const { return answers_; }

  /// Whether every choice is complete.
  bool complete() const;

  /// Processes an update, without error, of a choice that is not complete; returns its events,
  /// often none.
  std::string add(std::size_t choice, const GenerationUpdate& update);

  /// The last events: the error if there was one, else the usage if requested; then [DONE].
  std::string end(const std::optional<Error>& error) const;

 private:
  std::string chunk(boost::json::object choice) const;
  std::string role_chunk(std::size_t choice);
  std::string text_chunk(std::size_t choice, const std::string& text);

  const ApiRequest& request_;
  const ResponseHead head_;
  std::vector<Answer> answers_;
  std::vector<bool> begun_;               // by choice: whether its role was sent
  std::vector<std::size_t> tokens_told_;  // by choice: how many log-probabilities were sent
};

}  // namespace rubato
