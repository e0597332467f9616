#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "parallel/mpi.h"
#include "parallel/mpi_internal.h"

namespace rubato::detail {

/// Who is there, asked when a wait has lasted too long: every rank that waits tells all others so,
/// by a message of its own, and who tells nothing is the one that they wait for. Costs nothing
/// until then. Engine thread only.
class RollCall {
 public:
  /// Among the ranks of a replica. Making one is collective over the whole job.
  explicit RollCall(const Mesh& mesh) : comm_(mesh.replica, mesh.tp_rank) {}

  struct Answer {
    int world_rank = 0;
    std::string waits_in;  ///< empty: no answer
  };

  /// Whether another rank has called. If this one waits too, it should take part.
  bool called();

  /// Tells the others that this rank waits in `operation`, and listens for them for a fifth of a
  /// second. One answer a rank, in rank order; this rank's own among them.
  std::vector<Answer> take(std::string_view operation);

 private:
  OwnedComm comm_;
};

/// What the answers say: "rank 1 does not answer", or, when all do, what each waits in.
std::string describe(const std::vector<RollCall::Answer>& answers);

}  // namespace rubato::detail
