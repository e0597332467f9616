#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>

#include "benchmarks/long/measure.h"
#include "benchmarks/long/random_checkpoint.h"
#include "benchmarks/long/report.h"
#include "launch/bench_run.h"
#include "launch/commands.h"
#include "launch/options.h"
#include "launch/progress.h"
#include "launch/rank.h"
#include "launch/refuse.h"
#include "launch/report_file.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

struct LongArguments {
  explicit LongArguments(CLI::App& command) : config(command) {}
  ConfigOptions config;
  RandomShape shape;
  LongOptions options;
  std::vector<std::string> policies = {"all", "elastic:gamma=0/0.99/1.01"};
  double budget_s = 30;
  bool checkpoint = false;
  std::string json;
};

Result<std::vector<Contender>> parse_policies(const std::vector<std::string>& names) {
  std::vector<Contender> contenders;
  for (const std::string& name : names) {
    const auto sweep = parse_sweep(name);
    if (!sweep) return sweep.error();
    contenders.insert(contenders.end(), sweep->begin(), sweep->end());
  }
  return contenders;
}

std::string model_name(const LongArguments& arguments, const Config& config) {
  if (!arguments.checkpoint) return describe(arguments.shape);
  return std::filesystem::weakly_canonical(config.model.path).filename().string();
}

/// Rank 0: the measurements, on a thread beside the engine.
int run_front(const LongArguments& arguments, const Rank& rank, ProgramArguments program) {
  EngineHost& host = *rank.engine;
  const auto contenders = parse_policies(arguments.policies);
  const Status agreed = agree("the benchmark", {contenders ? "" : contenders.error().message, {}});
  if (!agreed) return fail(agreed.error(), kCannotStart);
  LongSetup setup{.provenance = provenance_of(host, rank.mesh, program),
                  .model = model_name(arguments, rank.config),
                  .random = !arguments.checkpoint,
                  .dtype = host.storage() == Storage::kFloat32 ? "float32" : "bfloat16",
                  .num_layers = host.model().n_layers,
                  .cache_bytes_per_token = cache_bytes_per_token(host)};
  Result<std::vector<LongMeasurement>> measured = std::vector<LongMeasurement>();
  const Status status = run_beside_engine(host, [&] {
    ProgressDisplay display;
    measured = measure_long(
        *contenders,
        arguments.options,
        host.model(),
        *host.client(),
        [&] { return host.collective_nanoseconds(); },
        [&](const LongProgress& p) {
          display.show(p.done, p.total, concat("canvas ", p.canvas, ", ", p.contender));
        });
  });
  if (!status) return end_of_engine(status);
  if (!measured) return fail(measured.error(), status_of(measured.error()));
  setup.provenance.load_after = load_average();
  std::cout << to_table(*measured, setup) << std::flush;
  const Status written = write_json(arguments.json, to_json(*measured, setup));
  return written ? kDone : fail(written.error());
}

/// The configuration, with the random model as its checkpoint if requested.
Result<Config> configure(const LongArguments& arguments,
                         std::optional<RandomCheckpoint>& checkpoint) {
  Result<Config> config = arguments.config.load();
  if (!config || arguments.checkpoint) return config;
  auto written = RandomCheckpoint::write(arguments.shape);
  if (!written) return written.error();
  checkpoint.emplace(*std::move(written));
  config->model.path = checkpoint->folder();
  return config;
}

int run(const LongArguments& arguments, ProgramArguments program) {
  std::optional<RandomCheckpoint> checkpoint;  // every rank writes its own
  const Result<Config> config = configure(arguments, checkpoint);
  const MpiSession mpi(program.argc, program.argv);
  const Result<Rank> rank = start_rank(mpi, "bench long", config);
  if (!rank) return kCannotStart;
  checkpoint.reset();
  if (rank->mesh.world_rank == 0) return run_front(arguments, *rank, program);
  if (!agree("the benchmark", {})) return kCannotStart;
  return end_of_engine(rank->engine->run());
}

void add_shape_options(CLI::App& command, LongArguments& arguments) {
  const auto add = [&](const char* name, int& value, int least, const char* what) {
    command.add_option(name, value, what)->check(CLI::Range(least, 1 << 20))->capture_default_str();
  };
  add("--layers", arguments.shape.layers, 1, "Layers of the random model");
  add("--width", arguments.shape.width, 2, "Its width");
  add("--heads", arguments.shape.heads, 1, "Its attention heads");
  add("--mlp", arguments.shape.mlp, 1, "Width between its MLP's two halves");
  add("--vocabulary", arguments.shape.vocabulary, 16, "Its ids");
  command.add_flag("--checkpoint",
                   arguments.checkpoint,
                   "Measure the configured model (--model) in place of random weights");
}

void add_run_options(CLI::App& command, LongArguments& arguments) {
  LongOptions& options = arguments.options;
  command.add_option("--canvases", options.canvases, "Positions, prompt included")
      ->delimiter(',')
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  command
      .add_option(
          "--policies", arguments.policies, "POLICY[:PARAMETER=VALUE]..., as for `bench policies`")
      ->delimiter(',')
      ->capture_default_str();
  const auto add = [&](const char* name, int& value, const char* what) {
    command.add_option(name, value, what)->check(CLI::Range(1, 1 << 20))->capture_default_str();
  };
  add("--prompt", options.prompt, "Positions of the prompt");
  add("--steps", options.limits.steps, "Steps to measure, from the first on; blocks are 32");
  add("--repeat", options.repeat, "How often; steps are pooled");
  command
      .add_option("--budget", arguments.budget_s, "Seconds after which a generation is cut short")
      ->check(CLI::Range(0.001, 86400.0))
      ->capture_default_str();
  command.add_option("--json", arguments.json, "File to write the numbers to")->type_name("FILE");
}

}  // namespace

void add_bench_long_command(CLI::App& bench, ProgramArguments program, Action& action) {
  CLI::App* command = bench.add_subcommand(
      "long", "What a step costs on long canvases, by policy, and how that grows");
  command->footer(
      "Random weights of any shape cost what trained ones cost, and say nothing of accuracy or of\n"
      "how many tokens a step commits. Under mpirun the ranks share the model.");
  const auto arguments = std::make_shared<LongArguments>(*command);
  add_shape_options(*command, *arguments);
  add_run_options(*command, *arguments);
  command->callback([arguments, program, &action] {
    arguments->options.limits.budget =
        std::chrono::milliseconds(static_cast<std::int64_t>(1000 * arguments->budget_s));
    arguments->shape.context = std::ranges::max(arguments->options.canvases);
    action = [arguments, program] { return run(*arguments, program); };
  });
}

}  // namespace rubato
