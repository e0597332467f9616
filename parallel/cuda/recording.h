#pragma once

#include <stdexcept>

// Included by .cu files, too: C++17.

namespace rubato {

/// Says which call cannot be recorded, and why. What was to be recorded has not been done: it can
/// be told to the stream again, for it to be done at once.
class RecordingFailed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// While one lives, what this thread tells the GPU is recorded, and a call that fails throws
/// RecordingFailed where it would end the process.
class Recording {
 public:
  Recording() { under_way() = true; }
  ~Recording() { under_way() = false; }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  static bool& under_way() {
    thread_local bool it_is = false;
    return it_is;
  }
};

}  // namespace rubato
