#pragma once

#include <string_view>

#include "runtime/base/error.h"
#include "runtime/base/exit_status.h"

namespace rubato {

/// kCannotStart where what a user gave is at fault, else kFailed.
ExitStatus status_of(const Error& error);

/// Writes to standard error why `command`, such as "bench step", failed. Returns
/// `status_of(error)`.
ExitStatus refuse(std::string_view command, const Error& error);

}  // namespace rubato
