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
/// which they were posted. For point-to-point traffic between the front end and its replicas.
class Mailbox {
 public:
  virtual ~Mailbox() = default;

  /// Sends without waiting for the receiver; the bytes are copied. Any thread.
  virtual void post(int to, std::span<const std::byte> content) = 0;

  /// The next message that has arrived here, from any rank, or none. Waits only for the rest of a
  /// message that has begun to arrive. One thread only.
  virtual std::optional<Letter> poll() = 0;

  /// Waits until everything posted has been sent. Call after the last `post`.
  virtual void flush() = 0;
};

}  // namespace rubato
