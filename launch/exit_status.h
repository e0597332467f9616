#pragma once

#include <string_view>

#include "runtime/base/error.h"

namespace rubato {

/// What the process ends with, as far as it decides that itself; docs/operations.md lists all that
/// can be seen. A supervisor goes by them.
enum ExitStatus : int {
  kDone = 0,
  kFailed = 1,       ///< worth another try
  kCannotStart = 2,  ///< arguments, configuration or checkpoint: another try would fail alike
};

/// Says on standard error why `command`, as "bench step", did not do what it was asked for. Returns
/// what to end with: kCannotStart where what it was given is at fault, kFailed otherwise.
ExitStatus refuse(std::string_view command, const Error& error);

}  // namespace rubato
