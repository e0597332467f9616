#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "parallel/agreement.h"
#include "parallel/communicator.h"
#include "parallel/control_channel.h"
#include "runtime/base/error.h"

namespace rubato {

/// Owns MPI for the life of the process. All MPI calls are made by one thread at a time
/// (MPI_THREAD_SERIALIZED): the main thread until the engine starts, then the engine's. Under
/// mpirun it also asks the kernel to end this process when mpirun dies, so that no orphan is left.
/// Outlives every communicator and channel.
class MpiSession {
 public:
  MpiSession(int* argc, char*** argv);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  /// Of this process, in the whole job.
  int rank() const { return rank_; }

 private:
  int rank_ = 0;
};

/// Where this rank stands: world = replicas x tensor-parallel size.
struct Mesh {
  int world_rank = 0;
  int world_size = 1;
  int tp_rank = 0;
  int tp_size = 1;
  int local_size = 1;  ///< ranks on this machine, which share its cores
};

/// Splits the world. Errors: kInvalidArgument, when the world is not of `tp` ranks (0: all ranks
/// there are).
Result<Mesh> make_mesh(int tp);

/// All ranks of the world state what they go on with, or why they cannot, and compare: see
/// `compare`. Every rank gets the same answer. Waits with next to no CPU, as long as a rank takes
/// to come; past `deadline` (0: none) it ends the job (deadline.h).
Status agree(const std::string& what,
             const Statement& mine,
             std::chrono::milliseconds deadline = std::chrono::milliseconds(0));

/// Collectives over MPI in host memory, on a duplicate of the world's communicator. A collective
/// that does not complete within `deadline` ends the job (deadline.h), naming rank and collective.
std::unique_ptr<Communicator> make_mpi_communicator(std::chrono::milliseconds deadline);

/// Control frames over MPI, on another duplicate, so that they never mix with the tensors.
std::unique_ptr<ControlChannel> make_mpi_control_channel(std::chrono::milliseconds deadline);

}  // namespace rubato
