#pragma once

#include <mpi.h>

#include <chrono>
#include <cstdint>
#include <mutex>

namespace rubato::detail {

/// Ends the job when an MPI call failed, naming the call, the rank and the place.
void check_mpi(int code, const char* call, const char* file, int line);

/// What a rank waits for, for the message when it waits in vain. `number` counts the operations of
/// its kind on this rank (or is the step, for control messages), so that it shows ranks that are
/// out of step.
struct Operation {
  const char* name;
  std::uint64_t number;
};

/// Held during every MPI call that RUBATO_MPI makes, so that threads take turns
/// (MPI_THREAD_SERIALIZED).
std::mutex& mpi_mutex();

/// Passes the time between two looks at a request that has been waited for this long: spins
/// briefly (collectives of a busy step take microseconds), then yields, then sleeps for a 32nd of
/// that time, 1 ms at most.
void pause(std::chrono::steady_clock::duration waited);

/// Waits for `request`. Past the deadline (0: none) it ends the job naming the operation.
void wait_for(MPI_Request& request, Operation operation, std::chrono::milliseconds deadline);

/// A communicator of this program's own, freed with its owner. Making one is collective over the
/// world.
class OwnedComm {
 public:
  /// All ranks of the job, in rank order.
  static OwnedComm of_world() { return OwnedComm(0, 0); }

  /// The ranks that give the same `group`, ordered by `key`.
  OwnedComm(int group, int key);
  ~OwnedComm();
  OwnedComm(const OwnedComm&) = delete;
  OwnedComm& operator=(const OwnedComm&) = delete;

  MPI_Comm get() const { return comm_; }
  int rank() const { return rank_; }
  int size() const { return size_; }

 private:
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
};

}  // namespace rubato::detail

#define RUBATO_MPI(call)                                                     \
  do {                                                                       \
    int rubato_mpi_code;                                                     \
    {                                                                        \
      const std::lock_guard rubato_mpi_lock(::rubato::detail::mpi_mutex());  \
      rubato_mpi_code = (call);                                              \
    }                                                                        \
    ::rubato::detail::check_mpi(rubato_mpi_code, #call, __FILE__, __LINE__); \
  } while (false)
