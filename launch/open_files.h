#pragma once

#include <cstdint>

namespace rubato {

/// Raises this process's limit of open files to `wanted`, or as far as the system lets it; never
/// lowers it. Returns the limit in force.
std::int64_t allow_open_files(std::int64_t wanted);

}  // namespace rubato
