#pragma once

#include "runtime/base/concat.h"

namespace rubato::detail {

/// Prints a broken invariant with its place and ends the process (abort).
[[noreturn]] void check_failed(const char* condition,
                               const char* file,
                               int line,
                               const std::string& details);

}  // namespace rubato::detail

/// A broken invariant ends the process. Further arguments are printed: RUBATO_CHECK(a == b, "a ",
/// a, ", b ", b).
#define RUBATO_CHECK(condition, ...)                                                        \
  do {                                                                                      \
    if (!(condition)) [[unlikely]]                                                          \
      ::rubato::detail::check_failed(                                                       \
          #condition, __FILE__, __LINE__, ::rubato::concat("" __VA_OPT__(, ) __VA_ARGS__)); \
  } while (false)
