#pragma once

#include <cstdint>

namespace rubato {

/// How many of a step's eligible positions are committed (docs/algorithm.md, "Commit rules").
enum class CommitRule : std::uint8_t {
  kThreshold,  ///< every position at least as confident as min(threshold, the most confident)
  kSchedule,   ///< a fixed number per step, so that a generation takes `steps` steps
  kFactor,     ///< the longest run c_1 >= c_2 >= ... with c_n >= 1 - factor / (n + 1)
};

struct CommitParams {
  CommitRule rule = CommitRule::kThreshold;
  double threshold = 0.9;  ///< ε in (0, 1]
  int steps = 0;           ///< total steps of the schedule; a multiple of the number of blocks
  double factor = 0;       ///< > 0

  bool operator==(const CommitParams&) const = default;
};

struct SamplingParams {
  double temperature = 0;  ///< 0: the most probable token, `seed` unused
  double top_p = 1;        ///< (0, 1]
  int top_k = 0;           ///< 0: no limit
  std::uint64_t seed = 0;

  bool operator==(const SamplingParams&) const = default;
};

}  // namespace rubato
