#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "http/openai/batch.h"
#include "launch/commands.h"
#include "launch/options.h"
#include "launch/progress.h"
#include "launch/rank.h"
#include "launch/serving.h"
#include "runtime/base/concat.h"
#include "runtime/base/log.h"

namespace rubato {
namespace {

struct BatchArguments {
  explicit BatchArguments(CLI::App& command) : config(command) {}
  ConfigOptions config;
  std::string input, output;
};

std::int64_t count_lines(const std::string& file) {
  std::ifstream in(file);
  std::int64_t lines = 0;
  for (std::string line; std::getline(in, line);)
    lines += line.find_first_not_of(" \t\r") != std::string::npos;
  return lines;
}

/// Opens both files. Returns the problem, or nothing.
std::string open_files(const BatchArguments& arguments, std::ifstream& in, std::ofstream& out) {
  in.open(arguments.input);
  if (!in) return concat("cannot read ", arguments.input, ": ", std::strerror(errno));
  std::error_code ignored;
  if (std::filesystem::equivalent(arguments.input, arguments.output, ignored))
    return concat("the results would overwrite the requests in ", arguments.input);
  out.open(arguments.output);
  if (!out) return concat("cannot write ", arguments.output, ": ", std::strerror(errno));
  return {};
}

/// Rank 0: the batch on a thread of its own; the engine has the calling thread.
int run_front(const BatchArguments& arguments, const Config& config, EngineHost& host) {
  Result<TextSide> text = load_text_side(config, host.model());
  std::ifstream in;
  std::ofstream out;
  const std::string failure = text ? open_files(arguments, in, out) : text.error().message;
  if (Status agreed = agree("the batch", {failure, {}}); !agreed)
    return fail(agreed.error(), kCannotStart);
  const std::int64_t total = count_lines(arguments.input);
  BatchProgress result;
  std::thread batch([&] {
    const ApiContext context = text->context();
    ProgressDisplay display;
    result = run_batch(
        in, out, context, *host.client(), config.engine.max_sequences, [&](const BatchProgress& p) {
          display.show(p.done, total, p.failed > 0 ? concat(p.failed, " failed") : "");
        });
    host.shut_down(/*finish_running=*/true);
  });
  const Status status = host.run();
  batch.join();
  const bool written = static_cast<bool>(out.flush());
  if (!status) return end_of_engine(status);
  if (!written) return fail({Code::kUnavailable, concat("cannot write ", arguments.output)});
  log_info(concat(result.done,
                  " lines answered, ",
                  result.failed,
                  " of them with an error; results in ",
                  arguments.output));
  return kDone;
}

/// The given configuration, but lines wait for slots without a time limit.
Result<Config> batch_config(const ConfigOptions& options) {
  Result<Config> config = options.load();
  if (config) config->engine.queue_timeout_s = 0;
  return config;
}

int run(const BatchArguments& arguments, ProgramArguments program) {
  const MpiSession mpi(program.argc, program.argv);
  const Result<Rank> rank = start_rank(mpi, "run-batch", batch_config(arguments.config));
  if (!rank) return kCannotStart;
  EngineHost& host = *rank->engine;
  if (rank->mesh.world_rank == 0) return run_front(arguments, rank->config, host);
  if (!agree("the batch", {})) return kCannotStart;
  return end_of_engine(host.run());
}

}  // namespace

void add_run_batch_command(CLI::App& app, ProgramArguments program, Action& action) {
  CLI::App* command =
      app.add_subcommand("run-batch", "Answer a file of requests in OpenAI's Batch format");
  const auto arguments = std::make_shared<BatchArguments>(*command);
  command->add_option("-i,--input", arguments->input, "Requests, one JSON object a line")
      ->required()
      ->check(CLI::ExistingFile);
  command
      ->add_option(
          "-o,--output", arguments->output, "Results, one JSON object a line, in input order")
      ->required();
  command->callback([arguments, program, &action] {
    action = [arguments, program] { return run(*arguments, program); };
  });
}

}  // namespace rubato
