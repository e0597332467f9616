#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "parallel/mpi.h"
#include "parallel/mpi_internal.h"

namespace rubato::detail {

/// Finds the missing rank when a wait has lasted too long: every waiting rank sends a message to
/// all others, and a rank that sends none is the one they wait for. Costs nothing until then.
/// Engine thread only.
class RollCall {
 public:
  /// Among the ranks of a replica. The constructor is collective over the whole job.
  explicit RollCall(const Mesh& mesh) : comm_(mesh.replica, mesh.tp_rank) {}

  struct Answer {
    int world_rank = 0;
    std::string waits_in;  ///< empty: no answer
  };

  /// Whether another rank has called. If this one waits too, it should take part.
  bool called();

  /// Tells the others that this rank waits in `operation`, and collects their answers for
  /// `kRollCall`. One answer per rank, in rank order, including this rank's own.
  std::vector<Answer> take(std::string_view operation);

 private:
  OwnedComm comm_;
};

/// The answers in words: "rank 1 does not answer", or, if all do, what each waits in.
std::string describe(const std::vector<RollCall::Answer>& answers);

}  // namespace rubato::detail
