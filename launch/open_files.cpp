#include "launch/open_files.h"

#include <sys/resource.h>

#include <algorithm>
#include <limits>

namespace rubato {

std::int64_t allow_open_files(std::int64_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlimit raised{std::min(std::max(limit.rlim_cur, rlim_t(wanted)), limit.rlim_max),
                      limit.rlim_max};
  if (raised.rlim_cur > limit.rlim_cur && ::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();  // RLIM_INFINITY is above it
  return static_cast<std::int64_t>(std::min(limit.rlim_cur, rlim_t(kMost)));
}

}  // namespace rubato
