#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "parallel/communicator.h"
#include "parallel/control_channel.h"

namespace rubato {

/// A tensor-parallel group whose ranks are threads of this process, for tests: the same interfaces
/// and the same bits as the MPI back end. Outlives its communicators and channels.
class LocalGroup {
 public:
  explicit LocalGroup(int size);
  ~LocalGroup();

  std::unique_ptr<Communicator> communicator(int rank);
  std::unique_ptr<ControlChannel> control_channel(int rank);

 private:
  class LocalCommunicator;
  class LocalControlChannel;

  /// Waits until every rank has arrived; ends the process when one does not come.
  void arrive_and_wait(int rank);

  const int size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0;
  std::uint64_t generation_ = 0;
  std::vector<const void*> shared_;           // one pointer a rank, valid between two barriers
  std::vector<std::deque<Frame>> mailboxes_;  // one a rank
};

}  // namespace rubato
