#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "parallel/agreement.h"
#include "parallel/communicator.h"
#include "parallel/control_channel.h"
#include "parallel/mailbox.h"
#include "runtime/base/error.h"

namespace rubato {

class RankWatch;

/// Owns MPI for the life of the process. MPI calls are made by one thread at a time
/// (MPI_THREAD_SERIALIZED): the main thread, which becomes the engine thread; with several replicas
/// also the link thread and threads that post to the mailbox, in turns (`detail::mpi_mutex`). Under
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

/// This rank's place in the job: world = replicas x tensor-parallel size; a replica's ranks are
/// consecutive.
struct Mesh {
  int world_rank = 0;
  int world_size = 1;
  int replica = 0;
  int num_replicas = 1;
  int tp_rank = 0;  ///< within the replica; 0 is its leader
  int tp_size = 1;
  int local_rank = 0;  ///< among the ranks on this machine
  int local_size = 1;  ///< ranks on this machine, which share its cores

  /// The rank of a replica's leader in the job.
  int leader_of(int other_replica) const { return other_replica * tp_size; }
};

/// Splits the world into `num_replicas` groups of `tp` ranks (0: as many as there are for each).
/// Errors: kInvalidArgument, when the job has another number of ranks.
Result<Mesh> make_mesh(int tp, int num_replicas = 1);

/// Gathers a text of every rank of the world, by rank. what: for the message when a rank does not
/// come. Waits as `agree` does.
std::vector<std::string> gather_texts(
    const std::string& mine,
    const std::string& what,
    std::chrono::milliseconds deadline = std::chrono::milliseconds(0));

/// All ranks of the world state what they continue with, or why they cannot, and compare: see
/// `compare`. Every rank gets the same answer. Waits for the last rank, using next to no CPU; past
/// `deadline` (0: none) it ends the job (deadline.h).
Status agree(const std::string& what,
             const Statement& mine,
             std::chrono::milliseconds deadline = std::chrono::milliseconds(0));

/// Collectives among the ranks of this rank's replica, over MPI in host memory. This call and the
/// two below are collective over the whole job. `watch` outlives the communicator and ends the job
/// when a rank is missing.
std::unique_ptr<Communicator> make_mpi_communicator(const Mesh& mesh, RankWatch& watch);

/// Control frames from the leader to its replica's ranks, on a communicator of their own, so that
/// they never mix with the tensors.
std::unique_ptr<ControlChannel> make_mpi_control_channel(const Mesh& mesh, RankWatch& watch);

/// Messages between any two ranks of the job. One that has begun to arrive but is not complete
/// within `deadline` ends the job.
std::unique_ptr<Mailbox> make_mpi_mailbox(std::chrono::milliseconds deadline);

}  // namespace rubato
