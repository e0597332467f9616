#include "parallel/deadline.h"

#include <cstdlib>

#include "runtime/base/concat.h"
#include "runtime/base/log.h"

namespace rubato {

void end_for_missed_deadline(int rank, std::string_view operation, std::chrono::seconds deadline) {
  log_error(concat("rank ",
                   rank,
                   " waited ",
                   deadline.count(),
                   " s in ",
                   operation,
                   ": another rank is gone or stuck; ending the job"));
  std::_Exit(70);
}

}  // namespace rubato
