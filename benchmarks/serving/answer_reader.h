#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "benchmarks/serving/event_reader.h"

namespace rubato {

/// Reads a streamed chat answer as its bytes arrive. Not thread safe.
class AnswerReader {
 public:
  /// Takes the next bytes of the body.
  void add(std::string_view bytes);

  bool has_text() const { return has_text_; }  ///< whether a delta with text has arrived
  bool done() const { return done_; }          ///< whether [DONE] has arrived
  std::int64_t prompt_tokens() const { return prompt_tokens_; }
  std::int64_t output_tokens() const { return output_tokens_; }

  /// The problem, in words; empty: none.
  const std::string& error() const { return error_; }

 private:
  void read_event(const std::string& data);

  EventReader events_;
  bool has_text_ = false;
  bool done_ = false;
  std::int64_t prompt_tokens_ = 0;
  std::int64_t output_tokens_ = 0;
  std::string error_;
};

/// The message of an OpenAI error object, or the beginning of any other body.
std::string error_message(std::string_view body);

}  // namespace rubato
