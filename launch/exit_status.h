#pragma once

namespace rubato {

/// What the process ends with, as far as it decides that itself; docs/operations.md lists all that
/// can be seen. A supervisor goes by them.
enum ExitStatus : int {
  kDone = 0,
  kFailed = 1,       ///< worth another try
  kCannotStart = 2,  ///< arguments, configuration or checkpoint: another try would fail alike
};

}  // namespace rubato
