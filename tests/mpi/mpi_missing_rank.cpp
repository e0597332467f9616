// Three ranks, one of which does not do what the others do: they must end the job and say who it
// is. Or it knows that it cannot go on, and says so itself. Or it is only slow, and they must not.
#include <ATen/ops/ones.h>
#include <unistd.h>

#include <string_view>
#include <thread>

#include "parallel/deadline.h"
#include "parallel/mpi.h"
#include "parallel/rank_watch.h"
#include "runtime/base/check.h"

namespace rubato {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPatience{300};

[[noreturn]] void hang() {
  while (true) pause();
}

void sum(Communicator& communicator) {
  at::Tensor t = at::ones({8});
  communicator.all_reduce_sum(t);
}

void run(std::string_view what, const Mesh& mesh) {
  const int rank = mesh.tp_rank;
  Pulse pulse;
  RankWatch watch(mesh, kPatience, pulse);
  const auto communicator = make_mpi_communicator(mesh, watch);
  const auto control = make_mpi_control_channel(mesh, watch);
  sum(*communicator);
  if (what == "collective") {
    if (rank == 1) hang();
    sum(*communicator);
  } else if (what == "control") {
    if (rank == 0) hang();
    (void)control->receive(6, /*while_idle=*/true);
  } else if (what == "heartbeat") {
    if (rank > 0) hang();
    control->meet(7);
  } else if (what == "disagreement") {
    rank == 0 ? control->meet(7) : sum(*communicator);
  } else if (what == "agreement") {
    if (rank == 1) hang();
    (void)agree("the configuration", {}, kPatience);
  } else if (what == "failure") {
    if (rank == 1) end_for_failure(rank, "its sequences differ");
    (void)agree("what never comes", {});  // without a deadline
  } else if (what == "slow") {
    // Waited for twice as long as patience, but not as long as all have worked.
    std::this_thread::sleep_for(rank == 1 ? 4 * kPatience : 2 * kPatience);
    sum(*communicator);
    RUBATO_CHECK(pulse.on_time() && pulse.age() < std::chrono::minutes(1));
  }
}

}  // namespace
}  // namespace rubato

int main(int argc, char** argv) {
  rubato::MpiSession session(&argc, &argv);
  rubato::run(argc > 1 ? argv[1] : "", rubato::make_mesh(3).value());
}
