#pragma once

#include <cstdint>
#include <string>

namespace rubato {

/// The outcome of one request. Times are in seconds since the start of the level.
struct RequestSample {
  double due = 0;         ///< when it was due, which in an open loop may be before it was sent
  double first_text = 0;  ///< when the first text arrived; without text: `end`
  double end = 0;         ///< when the last byte arrived
  std::int64_t prompt_tokens = 0;
  std::int64_t output_tokens = 0;
  std::string error;  ///< why there is no answer; empty: answered

  bool answered() const { return error.empty(); }
};

}  // namespace rubato
