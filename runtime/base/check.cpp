#include "runtime/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace rubato::detail {

void check_failed(const char* condition, const char* file, int line, const std::string& details) {
  std::fprintf(
      stderr, "rubato: check failed at %s:%d: %s %s\n", file, line, condition, details.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace rubato::detail
