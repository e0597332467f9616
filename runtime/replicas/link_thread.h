#pragma once

#include <functional>
#include <thread>

#include "parallel/mailbox.h"

namespace rubato {

/// The thread that empties a mailbox: looks often while messages come, and with next to no CPU when
/// none do (every millisecond).
class LinkThread {
 public:
  /// `receive` gets each letter, `tick` is called after each look: both on the link thread.
  /// `stalled`: nobody looked for a while, because this process or its machine was stopped; that
  /// nothing was heard meanwhile tells nothing of the others.
  LinkThread(Mailbox& mailbox,
             std::function<void(const Letter&)> receive,
             std::function<void(bool stalled)> tick);

  /// Ends the thread after the look under way. Idempotent; the owner's thread.
  void stop();

 private:
  std::jthread thread_;
};

}  // namespace rubato
