#pragma once

#include <string>

namespace rubato {

/// The version of the sources, "0.1.0".
std::string program_version();

/// The linker's id of this very program file, in hexadecimal: the same on two machines only where
/// they run the same build. Empty where the linker made none.
std::string program_build();

}  // namespace rubato
