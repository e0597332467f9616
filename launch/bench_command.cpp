#include "launch/commands.h"

namespace rubato {

void add_bench_command(CLI::App& app, ProgramArguments program, Action& action) {
  CLI::App* bench = app.add_subcommand(
      "bench", "Measure; `policies` and `long` may be started with mpirun -np RANKS");
  bench->require_subcommand(1);
  add_bench_policies_command(*bench, program, action);
  add_bench_long_command(*bench, program, action);
  add_bench_serving_command(*bench, program, action);
  add_bench_step_command(*bench, program, action);
}

}  // namespace rubato
