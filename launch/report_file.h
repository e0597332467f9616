#pragma once

#include <string>

#include "runtime/base/error.h"

namespace rubato {

/// Writes a benchmark's report to `file`; does nothing if `file` is empty. Errors:
/// kInvalidArgument, naming
/// `--json`.
Status write_json(const std::string& file, const std::string& report);

}  // namespace rubato
