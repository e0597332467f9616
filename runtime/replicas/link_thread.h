#pragma once

#include <functional>
#include <thread>

#include "parallel/mailbox.h"

namespace rubato {

/// The thread that empties a mailbox: polls often while messages arrive, and every millisecond,
/// with next to no CPU, when none do.
class LinkThread {
 public:
  /// `receive` gets each message, `tick` is called after each poll: both on the link thread.
  /// `stalled`: there was no poll for a while, because this process or its machine was stopped, so
  /// that silence in that time does not mean that the other side is lost.
  LinkThread(Mailbox& mailbox,
             std::function<void(const Letter&)> receive,
             std::function<void(bool stalled)> tick);

  /// Ends the thread after the current poll. Idempotent; the owner's thread.
  void stop();

 private:
  std::jthread thread_;
};

}  // namespace rubato
