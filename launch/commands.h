#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace rubato {

/// The process's arguments, in the form that MPI takes.
struct ProgramArguments {
  int* argc = nullptr;
  char*** argv = nullptr;
};

/// What the chosen subcommand does once the arguments are parsed; returns the exit status.
using Action = std::function<int()>;

/// Each adds a subcommand to `app`; choosing it sets `action`. `action` and `app` outlive the
/// parsing, the returned action outlives nothing but the call.
void add_inspect_command(CLI::App& app, Action& action);
void add_serve_command(CLI::App& app, ProgramArguments program, Action& action);
void add_run_batch_command(CLI::App& app, ProgramArguments program, Action& action);
void add_bench_command(CLI::App& app, ProgramArguments program, Action& action);

/// The same for the subcommands of `bench`.
void add_bench_policies_command(CLI::App& bench, ProgramArguments program, Action& action);
void add_bench_long_command(CLI::App& bench, ProgramArguments program, Action& action);
void add_bench_serving_command(CLI::App& bench, ProgramArguments program, Action& action);
void add_bench_step_command(CLI::App& bench, ProgramArguments program, Action& action);

}  // namespace rubato
