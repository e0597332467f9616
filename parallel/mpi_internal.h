#pragma once

#include <mpi.h>

#include <chrono>

namespace rubato::detail {

/// Ends the job when an MPI call failed, naming the call and the place.
void check_mpi(int code, const char* call, const char* file, int line);

/// Waits for `request`: spins briefly (collectives of a busy step take microseconds), then yields,
/// then sleeps up to 200 µs at a time. Past the deadline (0: none) it ends the job naming
/// `operation`.
void wait_for(MPI_Request& request, const char* operation, std::chrono::seconds deadline);

/// A duplicate of MPI_COMM_WORLD, freed with its owner.
class OwnedComm {
 public:
  OwnedComm();
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

#define RUBATO_MPI(call) ::rubato::detail::check_mpi((call), #call, __FILE__, __LINE__)
