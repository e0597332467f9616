// What an exchange between ranks costs, over MPI on one machine:
//   mpirun -np 2 --bind-to none build/benchmarks/collective_bench
#include <ATen/ops/zeros.h>
#include <mpi.h>

#include <chrono>
#include <cstdio>

#include "parallel/deadline.h"
#include "parallel/mpi.h"
#include "parallel/rank_watch.h"

namespace rubato {
namespace {

/// Microseconds of one call of `exchange`, over `rounds` calls after a warm-up.
template <class Exchange>
double microseconds(int rounds, Exchange exchange) {
  for (int i = 0; i < rounds / 10 + 1; ++i) exchange();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < rounds; ++i) exchange();
  const std::chrono::duration<double, std::micro> spent = std::chrono::steady_clock::now() - start;
  return spent.count() / rounds;
}

void measure() {
  const Mesh mesh = make_mesh(0).value();
  Pulse pulse;
  RankWatch watch(mesh, kDefaultCollectiveDeadline, pulse);
  const auto communicator = make_mpi_communicator(mesh, watch);
  const auto channel = make_mpi_control_channel(mesh, watch);
  const auto print = [&](const char* what, std::int64_t bytes, double us) {
    if (mesh.tp_rank == 0)
      std::printf("%-12s %9lld bytes %9.1f us\n", what, static_cast<long long>(bytes), us);
  };
  for (const std::int64_t rows : {1, 4, 16, 64, 256, 1024}) {
    at::Tensor t = at::zeros({rows, 256});
    at::Tensor all = at::zeros({mesh.tp_size, rows, 256});
    const auto bytes = static_cast<std::int64_t>(t.nbytes());
    print("all-reduce", bytes, microseconds(2000, [&] { communicator->all_reduce_sum(t); }));
    print("all-gather", bytes, microseconds(2000, [&] { communicator->all_gather(t, all); }));
  }
  for (const std::size_t size : {std::size_t{64}, std::size_t{3000}, std::size_t{20'000}}) {
    const Frame frame{1, 0, std::vector<std::byte>(size)};
    at::Tensor beat = at::zeros({1});  // keeps the sender from running ahead
    print("control", static_cast<std::int64_t>(size), microseconds(2000, [&] {
            if (mesh.tp_rank == 0) {
              channel->send(frame);
            } else {
              (void)channel->receive(0, false);
            }
            communicator->all_reduce_sum(beat);
          }));
  }
}

}  // namespace
}  // namespace rubato

int main(int argc, char** argv) {
  rubato::MpiSession session(&argc, &argv);
  rubato::measure();
}
