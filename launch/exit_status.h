#pragma once

#include <string_view>

#include "runtime/base/error.h"

namespace rubato {

/// The exit statuses that the program chooses itself; docs/operations.md lists all that can occur.
/// Supervisors rely on them.
enum ExitStatus : int {
  kDone = 0,
  kFailed = 1,       ///< a restart may help
  kCannotStart = 2,  ///< arguments, configuration or checkpoint: a restart would fail again
};

/// Writes to standard error why `command`, such as "bench step", failed. Returns the exit status:
/// kCannotStart if its arguments are at fault, else kFailed.
ExitStatus refuse(std::string_view command, const Error& error);

}  // namespace rubato
