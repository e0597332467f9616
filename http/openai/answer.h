#pragma once

#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "runtime/engine/generation.h"
#include "runtime/text/incremental_decoder.h"

namespace rubato {

/// How ids become an answer's text, and where that ends.
struct AnswerOptions {
  std::vector<std::string> stop = {};  ///< strings that end the text
  std::vector<TokenId> stop_ids = {};  ///< tokens that end the text
  bool include_stop = false;           ///< the stop string or token is part of the text
  bool skip_special = true;            ///< special tokens have no text
  int min_tokens = 0;                  ///< a stop string counts only after this many tokens
  /// The answer is complete only when decoding is, even if its text has ended before: for the trace
  /// of the whole decode.
  bool to_the_end = false;
  std::string echo = {};  ///< starts the text; not searched for stop strings
};

/// Turns one generation's commits, which come in any order, into its answer. Text is returned only
/// up to the first position that is still masked, never half a character or a part of a stop
/// string, so returned text never changes. Not thread safe.
class Answer {
 public:
  /// The tokenizer must outlive this.
  Answer(const Tokenizer& tokenizer, const GenerationRequest& request, AnswerOptions options);

  /// Processes a step's update; returns the text that became certain. Does nothing once `complete`.
  std::string add(const GenerationUpdate& update);

  /// Nothing changes any more: the generation has finished, or the text has ended and nothing else
  /// is needed (then cancel the generation).
  bool complete() const { return complete_; }

  const std::string& text() const { return text_; }
  const char* finish_reason() const {
    return std::holds_alternative<std::monostate>(stop_reason_) ? "length" : "stop";
  }
  const std::variant<std::monostate, std::string, TokenId>& stop_reason() const {
    return stop_reason_;
  }
  std::span<const TokenId> token_ids() const { return ids_; }  ///< up to and including the stop

  /// One for each of `token_ids`; empty if not requested.
  std::span<const CommitLogprobs> logprobs() const;
  bool has_logprobs() const { return !logprobs_.empty(); }  ///< whether they were requested
  /// Those of the token committed at a canvas position; they must have been requested.
  const CommitLogprobs& logprobs_at(Position position) const;
  /// The offset in `text`, in bytes, of the text of a token of `token_ids`.
  std::size_t text_begin(std::size_t token) const;
  /// How many of `token_ids` have all their text in what `add` has returned so far; all of them
  /// once complete.
  std::size_t num_given_tokens() const;

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const GenerationStats& stats() const { return stats_; }
  const std::vector<StepTrace>& trace() const { return trace_; }

 private:
  void read_prefix();
  void end_at(TokenId id);
  void append(const std::string& more);
  std::size_t held_back() const;
  std::string release();

  const Tokenizer* tokenizer_;
  AnswerOptions options_;
  std::vector<std::optional<TokenId>> canvas_;  // the generated part
  Position prompt_length_;
  IncrementalDecoder decoder_;
  std::vector<CommitLogprobs> logprobs_;  // beside canvas_; empty where they were not asked for
  std::vector<TokenId> ids_;              // the committed prefix, up to the stop
  std::vector<std::size_t> text_ends_;    // of each of ids_, in text_ before it was cut
  std::string text_;                      // certain, or held back from `given_` on
  std::size_t given_ = 0;
  bool text_ended_ = false;
  bool complete_ = false;
  std::variant<std::monostate, std::string, TokenId> stop_reason_;
  GenerationStats stats_;
  std::vector<StepTrace> trace_;
};

}  // namespace rubato
