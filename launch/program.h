#pragma once

#include <string>

namespace rubato {

/// The version of the sources, "0.1.0".
std::string program_version();

/// The commit of the sources, with "-dirty" where they had been changed, or "unknown". Defined in
/// the program only, not in a library.
std::string program_commit();

/// The linker's id of this very program file, in hexadecimal: the same on two machines only where
/// they run the same build. Empty where the linker made none.
std::string program_build();

}  // namespace rubato
