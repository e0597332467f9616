#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <memory>
#include <thread>

#include "benchmarks/policies/compare.h"
#include "benchmarks/policies/report.h"
#include "launch/commands.h"
#include "launch/options.h"
#include "launch/program.h"
#include "launch/progress.h"
#include "launch/rank.h"
#include "launch/serving.h"
#include "runtime/base/concat.h"
#include "runtime/model/kernels/kernels.h"

namespace rubato {
namespace {

struct PoliciesArguments {
  explicit PoliciesArguments(CLI::App& command) : config(command) {}
  ConfigOptions config;
  std::vector<std::string> tasks = {"word_problem", "chain", "code"};
  std::vector<std::string> policies{std::begin(kDefaultContenders), std::end(kDefaultContenders)};
  ComparisonOptions comparison;
  std::string tasks_folder = "benchmarks/policies/tasks";
  std::string python = "python3";
  std::string json;
  bool phases = false;
};

/// What rank 0 compares.
struct Entries {
  std::vector<Task> tasks;
  std::vector<Contender> contenders;
  TextSide text;
};

Result<Entries> load_entries(const PoliciesArguments& arguments,
                             const Config& config,
                             const ModelConfig& model) {
  Result<TextSide> text = load_text_side(config, model);
  if (!text) return text.error();
  Entries entries{{}, {}, *std::move(text)};
  for (const std::string& name : arguments.tasks) {
    Result<Task> task = load_task(arguments.tasks_folder, name);
    if (!task) return task.error();
    entries.tasks.push_back(*std::move(task));
  }
  for (const std::string& name : arguments.policies) {
    Result<Contender> contender = parse_contender(name);
    if (!contender) return contender.error();
    entries.contenders.push_back(*std::move(contender));
  }
  return entries;
}

BenchSetup setup_of(const EngineHost& host, const Mesh& mesh, const Entries& entries) {
  return {.version = program_version(),
          .model = entries.text.model.id,
          .dtype = host.storage() == Storage::kFloat32 ? "float32" : "bfloat16",
          .kernels = kernels().name,
          .ranks = mesh.world_size,
          .threads = host.num_threads()};
}

Status write_report(const PolicyComparison& comparison,
                    const BenchSetup& setup,
                    const PoliciesArguments& arguments) {
  std::cout << to_table(comparison, setup) << (arguments.phases ? to_phase_table(comparison) : "")
            << std::flush;
  if (arguments.json.empty()) return {};
  std::ofstream out(arguments.json);
  out << to_json(comparison, setup) << std::flush;
  if (out) return {};
  return Error{Code::kInvalidArgument, concat("cannot write ", arguments.json), "--json"};
}

/// Rank 0: the comparison on a thread of its own beside the engine, which has the calling thread.
int run_front(const PoliciesArguments& arguments,
              const Config& config,
              const Mesh& mesh,
              EngineHost& host,
              PythonScorer& python) {
  Result<Entries> entries = load_entries(arguments, config, host.model());
  const Status agreed = agree("the benchmark", {entries ? "" : entries.error().message, {}});
  if (!agreed) return fail(agreed.error());
  Result<PolicyComparison> comparison = PolicyComparison{};
  std::thread bench([&] {
    ProgressDisplay display;
    comparison =
        compare_policies(entries->tasks,
                         entries->contenders,
                         arguments.comparison,
                         entries->text.context(),
                         *host.client(),
                         python,
                         [&](const ComparisonProgress& p) {
                           display.show(p.done, p.total, concat(p.task, ", ", p.contender));
                         });
    host.shut_down(/*finish_running=*/false);
  });
  const Status status = host.run();
  bench.join();
  if (!status) return fail(status.error());
  if (!comparison) return fail(comparison.error());
  const Status written = write_report(*comparison, setup_of(host, mesh, *entries), arguments);
  return written ? 0 : fail(written.error());
}

int run(const PoliciesArguments& arguments, ProgramArguments program) {
  // Every rank starts one, for none knows yet which it is.
  auto python = std::make_unique<PythonScorer>(
      arguments.python, std::filesystem::path(arguments.tasks_folder) / "score_python.py");
  const MpiSession mpi(program.argc, program.argv);
  const Result<Rank> rank = start_rank(mpi, "bench policies", arguments.config.load());
  if (!rank) return 1;
  EngineHost& host = *rank->engine;
  if (rank->mesh.world_rank == 0)
    return run_front(arguments, rank->config, rank->mesh, host, *python);
  python.reset();
  if (!agree("the benchmark", {})) return 1;
  const Status status = host.run();
  return status ? 0 : fail(status.error());
}

void add_policies_command(CLI::App& bench, ProgramArguments program, Action& action) {
  CLI::App* command = bench.add_subcommand(
      "policies", "Accuracy and speed of cache policies: same engine, same model, same questions");
  command->footer(
      "Tokens are those returned, up to and including the stop (usage.completion_tokens), counted\n"
      "alike for all policies. Seconds are those of generation alone: no loading, no scoring.");
  const auto arguments = std::make_shared<PoliciesArguments>(*command);
  command
      ->add_option(
          "--tasks", arguments->tasks, "Task names, or paths of .jsonl files with questions")
      ->delimiter(',')
      ->capture_default_str();
  command
      ->add_option("--policies",
                   arguments->policies,
                   "POLICY[:PARAMETER=VALUE]..., with the parameters of a request's `diffusion` "
                   "object, as elastic:gamma=0.7:window=32. The first is what speed is compared to")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--count", arguments->comparison.count, "Questions of each task")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--length", arguments->comparison.length, "Tokens to generate (max_tokens)")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--concurrency", arguments->comparison.concurrency, "Sequences at a time")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command->add_flag("--phases", arguments->phases, "Also say where the time of a step goes");
  command->add_option("--json", arguments->json, "File to write the numbers to")->type_name("FILE");
  command->add_option("--tasks-dir", arguments->tasks_folder, "Folder of the task files")
      ->type_name("DIR")
      ->capture_default_str();
  command->add_option("--python", arguments->python, "Interpreter that runs generated code")
      ->type_name("PROGRAM")
      ->capture_default_str();
  command->callback([arguments, program, &action] {
    action = [arguments, program] { return run(*arguments, program); };
  });
}

}  // namespace

void add_bench_command(CLI::App& app, ProgramArguments program, Action& action) {
  CLI::App* bench =
      app.add_subcommand("bench", "Measure; `policies` may be started with mpirun -np RANKS");
  bench->require_subcommand(1);
  add_policies_command(*bench, program, action);
  add_bench_serving_command(*bench, action);
}

}  // namespace rubato
