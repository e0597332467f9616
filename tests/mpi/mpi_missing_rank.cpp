// Two ranks, one of which stops taking part: the other must end the job with a message.
#include <ATen/Functions.h>
#include <unistd.h>

#include <string_view>

#include "parallel/mpi.h"

namespace rubato {
namespace {

constexpr std::chrono::milliseconds kDeadline{300};

[[noreturn]] void hang() {
  while (true) pause();
}

void miss_a_collective(const Mesh& mesh) {
  const auto communicator = make_mpi_communicator(mesh, kDeadline);
  at::Tensor t = at::ones({8});
  communicator->all_reduce_sum(t);
  if (mesh.tp_rank == 1) hang();
  communicator->all_reduce_sum(t);
}

void miss_a_control_message(const Mesh& mesh) {
  const auto channel = make_mpi_control_channel(mesh, kDeadline);
  if (mesh.tp_rank == 0) {
    channel->send({.kind = 1, .step = 5, .payload = {}});
    hang();
  }
  (void)channel->receive(5, false);
  (void)channel->receive(6, false);
}

void miss_an_agreement(int rank) {
  if (rank == 1) hang();
  (void)agree("the configuration", {}, kDeadline);
}

}  // namespace
}  // namespace rubato

int main(int argc, char** argv) {
  rubato::MpiSession session(&argc, &argv);
  const rubato::Mesh mesh = rubato::make_mesh(2).value();
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "collective") rubato::miss_a_collective(mesh);
  if (what == "control") rubato::miss_a_control_message(mesh);
  if (what == "agreement") rubato::miss_an_agreement(mesh.tp_rank);
}
