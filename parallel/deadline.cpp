#include "parallel/deadline.h"

#include <cstdlib>

#include "runtime/base/concat.h"
#include "runtime/base/log.h"

namespace rubato {

void end_for_missed_deadline(int rank,
                             std::string_view operation,
                             std::chrono::milliseconds deadline) {
  log_error(concat("rank ",
                   rank,
                   " waited ",
                   static_cast<double>(deadline.count()) / 1000,
                   " s in ",
                   operation,
                   ": another rank is gone or stuck; ending the job"));
  std::_Exit(kMissedDeadlineStatus);
}

}  // namespace rubato
