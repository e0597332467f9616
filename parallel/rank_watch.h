#pragma once

#include <chrono>

#include "parallel/mpi.h"
#include "parallel/mpi_internal.h"
#include "parallel/pulse.h"
#include "parallel/roll_call.h"

namespace rubato {

/// Waits for the other ranks of a replica, for its communicator and its control channel alike, and
/// ends the job when one of them does not come within `patience` of when it should: with
/// `kMissedDeadlineStatus` and a message that names it. A time in which this rank itself did not
/// run (stopped, or its machine) does not count. Engine thread only.
class RankWatch {
 public:
  /// Of the ranks of this one's replica. Making one is collective over the whole job.
  RankWatch(const Mesh& mesh, std::chrono::milliseconds patience, Pulse& pulse);

  /// Returns once `request` is complete, to which the others come after the same work as this rank
  /// has done since it last waited: they may take three times as long as it did.
  void wait_after_work(MPI_Request& request, detail::Operation operation);

  /// Returns once `request` is complete, to which the others come within `allowed`.
  void wait(MPI_Request& request,
            detail::Operation operation,
            std::chrono::nanoseconds allowed = std::chrono::nanoseconds(0));

 private:
  using Clock = Pulse::Clock;

  /// Says who is missing.
  [[noreturn]] void give_up(detail::Operation operation, Clock::duration waited);

  /// Another rank has given up: tells it that this one is there.
  [[noreturn]] void end_with_the_others(detail::Operation operation);

  const std::chrono::milliseconds patience_;
  Pulse& pulse_;
  detail::RollCall roll_call_;
  Clock::time_point last_answer_ = Clock::now();
};

}  // namespace rubato
