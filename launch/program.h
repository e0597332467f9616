#pragma once

#include <string>

namespace rubato {

/// The version of the sources, "0.1.0".
std::string program_version();

/// The commit of the sources, with "-dirty" if they had been changed, or "unknown". Defined in
/// the program only, not in a library.
std::string program_commit();

/// The linker's build id of this program file, in hexadecimal: the same on two machines only if
/// they run the same build. Empty if the linker made none.
std::string program_build();

}  // namespace rubato
