#pragma once

#include <chrono>

#include "parallel/mpi.h"
#include "parallel/mpi_internal.h"
#include "parallel/pulse.h"
#include "parallel/roll_call.h"

namespace rubato {

/// Waits for the other ranks of a replica, on behalf of its communicator and control channel. If
/// one of them is more than `patience` late, it ends the job with `kMissedDeadline` and a
/// message that names the rank. Time in which this rank itself did not run (it or its machine was
/// stopped) does not count. Engine thread only.
class RankWatch {
 public:
  /// For the ranks of this rank's replica. The constructor is collective over the whole job.
  RankWatch(const Mesh& mesh, std::chrono::milliseconds patience, Pulse& pulse);

  /// How late the others may be from here on.
  void set_patience(std::chrono::milliseconds patience) { patience_ = patience; }

  /// Returns once `request` is complete. Before it the other ranks do the same work that this rank
  /// has done since it last waited, for which they may take three times as long.
  void wait_after_work(MPI_Request& request, detail::Operation operation);

  /// Returns once `request` is complete, for which the other ranks may take `allowed`.
  void wait(MPI_Request& request,
            detail::Operation operation,
            std::chrono::nanoseconds allowed = std::chrono::nanoseconds(0));

 private:
  using Clock = Pulse::Clock;

  /// Ends the job, naming the missing ranks.
  [[noreturn]] void give_up(detail::Operation operation, Clock::duration waited);

  /// Another rank has given up: answers it, so that it does not name this one, and ends the
  /// process.
  [[noreturn]] void end_with_the_others(detail::Operation operation);

  std::chrono::milliseconds patience_;
  Pulse& pulse_;
  detail::RollCall roll_call_;
  Clock::time_point last_answer_ = Clock::now();
};

}  // namespace rubato
