#pragma once

#include <cstdint>

namespace rubato {

/// Raises this process's limit of open files to `wanted`, or as far as the system allows; never
/// lowers it. Returns the effective limit.
std::int64_t allow_open_files(std::int64_t wanted);

}  // namespace rubato
