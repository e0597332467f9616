#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "parallel/communicator.h"
#include "parallel/control_channel.h"
#include "parallel/deadline.h"

namespace rubato {

/// A tensor-parallel group whose ranks are threads of this process, for tests: the same interfaces
/// and the same bits as the MPI back end. Outlives its communicators and channels. Each of these
/// belongs to its rank's thread, but any thread may make it. A rank that does not arrive within
/// `deadline` ends the process.
class LocalGroup {
 public:
  explicit LocalGroup(int size, std::chrono::milliseconds deadline = kDefaultCollectiveDeadline);
  ~LocalGroup();
  LocalGroup(const LocalGroup&) = delete;
  LocalGroup& operator=(const LocalGroup&) = delete;

  int size() const { return size_; }

  std::unique_ptr<Communicator> communicator(int rank);
  std::unique_ptr<ControlChannel> control_channel(int rank);

 private:
  class LocalCommunicator;
  class LocalControlChannel;

  /// Waits until every rank has arrived.
  void arrive_and_wait(int rank, std::string_view operation);

  const int size_;
  const std::chrono::milliseconds deadline_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0;
  std::uint64_t generation_ = 0;
  std::vector<const void*> shared_;           // one pointer a rank, valid between two barriers
  std::vector<std::deque<Frame>> mailboxes_;  // one a rank
};

}  // namespace rubato
