#pragma once

#include <chrono>
#include <string_view>

namespace rubato {

/// How long a rank waits for the others before it considers them lost, by default.
inline constexpr std::chrono::seconds kDefaultCollectiveDeadline{30};

/// How often the ranks of an idle job meet, to show that they are alive.
inline constexpr std::chrono::milliseconds kHeartbeat{250};

/// How long ranks that have waited too long collect signs of life from the others before they end
/// the job.
inline constexpr std::chrono::milliseconds kRollCall{200};

/// How long ranks on GPUs wait for one another until their first step is done: on first use a GPU's
/// libraries load their kernels, which may take a rank seconds.
inline constexpr std::chrono::seconds kFirstStepDeadline{60};

/// How long a rank waits for another in a step.
struct StepDeadlines {
  std::chrono::milliseconds first = kFirstStepDeadline;          ///< until the first step is done
  std::chrono::milliseconds later = kDefaultCollectiveDeadline;  ///< from then on
};

/// Logs why this rank cannot continue and ends the process with `kFailed`, and with it the
/// job. An orderly exit would have to wait for the other ranks; these wait for this one in a step,
/// and would end the job at their deadline and report this rank as silent. Any thread.
[[noreturn]] void end_for_failure(int rank, std::string_view why);

/// Logs which rank waited in vain for what, and ends the process with `kMissedDeadline`, and
/// with it the job: nothing can be computed without the missing rank. Any thread.
[[noreturn]] void end_for_missed_deadline(int rank,
                                          std::string_view operation,
                                          std::chrono::milliseconds deadline);

/// The same for a rank that has sent nothing for `silence`.
[[noreturn]] void end_for_silent_rank(int silent_rank, std::chrono::milliseconds silence);

}  // namespace rubato
