#include "launch/progress.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "runtime/base/concat.h"
#include "runtime/base/log.h"

namespace rubato {
namespace {

/// Whether stderr ends up on a terminal. A rank's stderr is a pipe that mpirun copies to its own,
/// so there mpirun's counts.
bool stderr_is_shown() {
  if (isatty(STDERR_FILENO) != 0) return true;
  const std::string parent = concat("/proc/", getppid());
  std::string name;
  std::getline(std::ifstream(parent + "/comm"), name);
  if (name != "mpirun" && name != "mpiexec" && name != "orterun") return false;
  std::error_code ignored;
  const std::string device = std::filesystem::read_symlink(parent + "/fd/2", ignored);
  return device.starts_with("/dev/pts/") || device.starts_with("/dev/tty");
}

}  // namespace

ProgressDisplay::ProgressDisplay() : terminal_(stderr_is_shown()) {}

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
