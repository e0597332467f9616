#include <algorithm>
#include <exception>
#include <iostream>

#include "launch/commands.h"
#include "launch/program.h"
#include "runtime/base/exit_status.h"

int main(int argc, char** argv) {
  CLI::App app("Rubato: serves masked-diffusion language models of the LLaDA family", "rubato");
  app.set_version_flag("--version", [] {
    return "rubato " + rubato::program_version() + " (build " + rubato::program_build() + ')';
  });
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::help);
  rubato::Action action;
  const rubato::ProgramArguments program{&argc, &argv};
  rubato::add_serve_command(app, program, action);
  rubato::add_run_batch_command(app, program, action);
  rubato::add_bench_command(app, program, action);
  rubato::add_inspect_command(app, action);
  const auto named = [&](const CLI::App* command) { return command->get_name() == argv[1]; };
  if (argc > 1 && argv[1][0] != '-' && std::ranges::none_of(app.get_subcommands({}), named)) {
    std::cerr << "rubato: there is no command '" << argv[1] << "'; see rubato --help\n";
    return rubato::kCannotStart;
  }
  try {
    app.parse(argc, argv);
    return action();
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? rubato::kDone : rubato::kCannotStart;
  } catch (const std::exception& error) {
    std::cerr << "rubato: " << error.what() << '\n';
    return rubato::kFailed;
  }
}
