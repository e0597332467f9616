#pragma once

#include <chrono>
#include <string_view>

namespace rubato {

/// How long a rank waits for the others before it takes them for dead, where nothing else is said.
inline constexpr std::chrono::seconds kDefaultCollectiveDeadline{30};

/// How often the ranks of an idle job meet, to show that they live.
inline constexpr std::chrono::milliseconds kHeartbeat{250};

/// How long ranks that have waited too long listen for who is there, before they end the job.
inline constexpr std::chrono::milliseconds kRollCall{200};

/// Exit status of a rank that gave the others up.
inline constexpr int kMissedDeadlineStatus = 70;

/// Exit status of a rank that failed in a step.
inline constexpr int kFailedStatus = 1;

/// Says why this rank cannot go on and ends the process with `kFailedStatus`, and with it the job.
/// To leave in an orderly way would be to wait for the others, which wait for this one in a step
/// and would end the job by their deadline, blaming it for silence. Any thread.
[[noreturn]] void end_for_failure(int rank, std::string_view why);

/// Says who waited for what in vain and ends the process with `kMissedDeadlineStatus`, and with it
/// the job: nothing can be computed without the missing rank. Any thread.
[[noreturn]] void end_for_missed_deadline(int rank,
                                          std::string_view operation,
                                          std::chrono::milliseconds deadline);

/// The same for a rank from which nothing has been heard for so long.
[[noreturn]] void end_for_silent_rank(int silent_rank, std::chrono::milliseconds silence);

}  // namespace rubato
