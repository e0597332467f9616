#include "launch/bench_run.h"

#include <filesystem>
#include <thread>

#include "launch/program.h"
#include "runtime/base/concat.h"
#include "runtime/model/kernels/kernels.h"

namespace rubato {
namespace {

/// An argument as one would type it into a shell.
std::string quoted(const std::string& argument) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%";
  const bool plain = !argument.empty() && argument.find_first_not_of(kPlain) == std::string::npos;
  return plain ? argument : "'" + argument + "'";
}

std::string command_line(ProgramArguments program) {
  char** const argv = *program.argv;
  std::string line = std::filesystem::path(argv[0]).filename().string();
  for (int i = 1; i < *program.argc; ++i) line += " " + quoted(argv[i]);
  return line;
}

}  // namespace

Provenance provenance_of(ProgramArguments program) {
  return {.version = program_version(),
          .commit = program_commit(),
          .command = command_line(program),
          .started = utc_now(),
          .ranks = 0,
          .threads = 0,
          .kernels = "",
          .machine = this_machine(),
          .load_before = load_average(),
          .load_after = 0};
}

Provenance provenance_of(const EngineHost& host, const Mesh& mesh, ProgramArguments program) {
  Provenance provenance = provenance_of(program);
  provenance.ranks = mesh.world_size;
  provenance.threads = host.num_threads();
  provenance.kernels = kernels().name;
  return provenance;
}

std::int64_t cache_bytes_per_token(const EngineHost& host) {
  const std::int64_t value_bytes = host.storage() == Storage::kFloat32 ? 4 : 2;
  return 4 * value_bytes * host.model().d_model * host.model().n_layers;  // X, Q, K, V
}

Status run_beside_engine(EngineHost& host, const std::function<void()>& work) {
  std::thread beside([&] {
    work();
    host.shut_down(/*finish_running=*/false);
  });
  const Status status = host.run();
  beside.join();
  return status;
}

}  // namespace rubato
