#include "parallel/deadline.h"

#include <cstdlib>

#include "runtime/base/concat.h"
#include "runtime/base/exit_status.h"
#include "runtime/base/log.h"

namespace rubato {
namespace {

double seconds(std::chrono::milliseconds duration) {
  return static_cast<double>(duration.count()) / 1000;
}

}  // namespace

void end_for_failure(int rank, std::string_view why) {
  log_error(concat("rank ", rank, ": ", why, "; ending the job"));
  std::_Exit(kFailed);
}

void end_for_missed_deadline(int rank,
                             std::string_view operation,
                             std::chrono::milliseconds deadline) {
  log_error(concat("rank ",
                   rank,
                   " waited ",
                   seconds(deadline),
                   " s in ",
                   operation,
                   ": another rank is gone or stuck; ending the job"));
  std::_Exit(kMissedDeadline);
}

void end_for_silent_rank(int silent_rank, std::chrono::milliseconds silence) {
  log_error(concat("rank ",
                   silent_rank,
                   " does not answer; no sign of life for ",
                   seconds(silence),
                   " s; ending the job"));
  std::_Exit(kMissedDeadline);
}

}  // namespace rubato
