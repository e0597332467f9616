#pragma once

#include <cstdint>
#include <string>

namespace rubato {

/// Shows the progress of a long command on stderr: a bar on a terminal, else a log line at every
/// tenth. One thread.
class ProgressDisplay {
 public:
  ProgressDisplay();
  ~ProgressDisplay();

  /// `note` says what is running or what went wrong; it may be empty.
  void show(std::int64_t done, std::int64_t total, const std::string& note);

 private:
  const bool terminal_;
  std::int64_t tenths_shown_ = 0;
  std::size_t width_ = 0;  // of the bar's line, to be overwritten whole
};

}  // namespace rubato
