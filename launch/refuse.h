#pragma once

#include <string_view>

#include "runtime/base/error.h"
#include "runtime/base/exit_status.h"

namespace rubato {

/// Writes to standard error why `command`, such as "bench step", failed. Returns the exit status:
/// kCannotStart if its arguments are at fault, else kFailed.
ExitStatus refuse(std::string_view command, const Error& error);

}  // namespace rubato
