#include "launch/progress.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "runtime/base/concat.h"
#include "runtime/base/log.h"

namespace rubato {

ProgressDisplay::ProgressDisplay() : terminal_(isatty(STDERR_FILENO) != 0) {}

ProgressDisplay::~ProgressDisplay() {
  if (width_ > 0) std::cerr << std::endl;
}

void ProgressDisplay::show(std::int64_t done, std::int64_t total, const std::string& note) {
  const std::string counts = concat(done, '/', total, note.empty() ? "" : "  ", note);
  if (terminal_) {
    constexpr std::int64_t kBar = 30;
    const std::int64_t filled = total > 0 ? done * kBar / total : kBar;
    const std::string line =
        concat('[', std::string(filled, '#'), std::string(kBar - filled, ' '), "] ", counts);
    const std::size_t rest = width_ - std::min(width_, line.size());
    std::cerr << '\r' << line << std::string(rest, ' ') << std::flush;
    width_ = line.size();
    return;
  }
  const std::int64_t tenths = total > 0 ? done * 10 / total : 10;
  if (tenths == tenths_shown_) return;
  tenths_shown_ = tenths;
  log_info(concat("done ", counts));
}

}  // namespace rubato
