#pragma once

#include <sstream>
#include <string>

namespace rubato {

/// The arguments joined into a string, each as `<<` writes it. For messages, not for the step
/// loop. (g++ 12 has no std::format, and torch's headers bring an fmt of their own that clashes
/// with Debian's.)
template <class... Args>
std::string concat(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return std::move(out).str();
}

}  // namespace rubato
