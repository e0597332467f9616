#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace rubato {

/// A message as it arrived.
struct Letter {
  int from = 0;  ///< the sender's rank in the job
  std::vector<std::byte> content;
};

/// Carries messages of any size between two ranks of the job, from host memory, in the order in
/// which they were posted. For what is no collective: the front end and its replicas.
class Mailbox {
 public:
  virtual ~Mailbox() = default;

  /// Sends without waiting for the receiver; the bytes are copied. Any thread.
  virtual void post(int to, std::span<const std::byte> content) = 0;

  /// The next message that has arrived here, from whoever; none: nothing has, and nothing is waited
  /// for. Of a message that has begun to arrive, the rest is. One thread only.
  virtual std::optional<Letter> poll() = 0;

  /// Waits until everything posted has left. After the last `post`.
  virtual void flush() = 0;
};

}  // namespace rubato
