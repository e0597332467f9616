#pragma once

#include <cstdint>
#include <string>

namespace rubato {

/// What became of one request. Times are seconds since the level began.
struct RequestSample {
  double due = 0;         ///< when it was to be sent: an open loop's clock, not the client's
  double first_text = 0;  ///< the first text arrived; an answer without any: its end
  double end = 0;         ///< the last byte arrived
  std::int64_t prompt_tokens = 0;
  std::int64_t output_tokens = 0;
  std::string error;  ///< why there is no answer; empty: there is one

  bool answered() const { return error.empty(); }
};

}  // namespace rubato
