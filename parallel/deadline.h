#pragma once

#include <chrono>
#include <string_view>

namespace rubato {

/// How long a rank waits for the others inside a step before it takes them for dead.
inline constexpr std::chrono::seconds kDefaultCollectiveDeadline{30};

/// Says who waited for what in vain and ends the process, and with it the job.
[[noreturn]] void end_for_missed_deadline(int rank,
                                          std::string_view operation,
                                          std::chrono::seconds deadline);

}  // namespace rubato
