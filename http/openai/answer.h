#pragma once

#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "runtime/engine/generation.h"
#include "runtime/text/incremental_decoder.h"

namespace rubato {

/// Turns one generation's commits, which come in any order, into its answer. Text is given only up
/// to the first position that is still masked, never half a character, never a part of a stop
/// string: what was given never changes. Not thread safe.
class Answer {
 public:
  /// `stop_ids` end the text (none under ignore_eos). The tokenizer must outlive this.
  Answer(const Tokenizer& tokenizer,
         const GenerationRequest& request,
         std::vector<TokenId> stop_ids,
         std::vector<std::string> stop);

  /// Takes a step's news; returns the text that became certain. Does nothing once `complete`.
  std::string add(const GenerationUpdate& update);

  /// Nothing further changes: the generation finished, or a stop string was met (cancel it then).
  bool complete() const { return complete_; }
  bool met_stop_string() const { return std::holds_alternative<std::string>(stop_reason_); }

  const std::string& text() const { return text_; }
  const char* finish_reason() const {
    return std::holds_alternative<std::monostate>(stop_reason_) ? "length" : "stop";
  }
  const std::variant<std::monostate, std::string, TokenId>& stop_reason() const {
    return stop_reason_;
  }
  std::span<const TokenId> token_ids() const {
    return std::span(ids_).first(num_tokens_);
  }  ///< up to and including the stop
  const GenerationStats& stats() const { return stats_; }
  const std::vector<StepTrace>& trace() const { return trace_; }

 private:
  void read_prefix();
  void append(const std::string& more);
  std::string release(bool all);

  std::vector<TokenId> stop_ids_;
  std::vector<std::string> stop_;
  std::vector<std::optional<TokenId>> canvas_;  // the generated part
  Position prompt_length_;
  IncrementalDecoder decoder_;
  std::vector<TokenId> ids_;  // the committed prefix, up to the stop
  std::size_t num_tokens_ = 0;
  std::string text_;  // certain, or held back from `given_` on
  std::size_t given_ = 0;
  bool text_ended_ = false;
  bool complete_ = false;
  std::variant<std::monostate, std::string, TokenId> stop_reason_;
  GenerationStats stats_;
  std::vector<StepTrace> trace_;
};

}  // namespace rubato
