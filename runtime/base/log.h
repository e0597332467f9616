#pragma once

#include <string_view>

namespace rubato {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// Sets what is printed and the tag of this process ("rank 1"), shown on each line. Call once, at
/// start.
void configure_logging(LogLevel least, std::string_view tag);

/// Writes one line to stderr; control characters of `message` (C0, DEL, C1) and bytes that
/// are not UTF-8 are escaped. Any thread.
void log(LogLevel level, std::string_view message);

inline void log_debug(std::string_view message) {
  log(LogLevel::kDebug, message);
}
inline void log_info(std::string_view message) {
  log(LogLevel::kInfo, message);
}
inline void log_warning(std::string_view message) {
  log(LogLevel::kWarning, message);
}
inline void log_error(std::string_view message) {
  log(LogLevel::kError, message);
}

}  // namespace rubato
