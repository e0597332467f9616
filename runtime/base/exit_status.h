#pragma once

namespace rubato {

/// The exit statuses that the program chooses itself; docs/operations.md lists all that can occur.
/// Supervisors rely on them.
enum ExitStatus : int {
  kDone = 0,
  kFailed = 1,           ///< a restart may help
  kCannotStart = 2,      ///< arguments, configuration or checkpoint: a restart would fail again
  kMissedDeadline = 70,  ///< a rank gave up waiting for the others
  kMpiFailed = 71,       ///< an MPI call failed
};

}  // namespace rubato
