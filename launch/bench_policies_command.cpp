#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "benchmarks/policies/compare.h"
#include "benchmarks/policies/report.h"
#include "launch/bench_run.h"
#include "launch/commands.h"
#include "launch/options.h"
#include "launch/progress.h"
#include "launch/rank.h"
#include "launch/refuse.h"
#include "launch/report_file.h"
#include "launch/serving.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

struct PoliciesArguments {
  explicit PoliciesArguments(CLI::App& command) : config(command) {}
  ConfigOptions config;
  std::vector<std::string> tasks = {"word_problem", "chain", "code"};
  std::vector<std::string> policies = default_contenders();
  ComparisonOptions comparison;
  std::string tasks_folder = "benchmarks/policies/tasks";
  std::string python = "python3";
  std::string json;
  bool traces = false;
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
    const Result<std::vector<Contender>> sweep = parse_sweep(name);
    if (!sweep) return sweep.error();
    entries.contenders.insert(entries.contenders.end(), sweep->begin(), sweep->end());
  }
  return entries;
}

Status write_report(const PolicyComparison& comparison,
                    const BenchSetup& setup,
                    const PoliciesArguments& arguments) {
  std::cout << to_table(comparison, setup) << to_boundary_table(comparison)
            << (arguments.phases ? to_phase_table(comparison) : "") << std::flush;
  return write_json(arguments.json, to_json(comparison, setup, arguments.traces));
}

/// Rank 0: the comparison, on a thread beside the engine.
int run_front(const PoliciesArguments& arguments,
              const Rank& rank,
              ProgramArguments program,
              PythonScorer& python) {
  EngineHost& host = *rank.engine;
  Result<Entries> entries = load_entries(arguments, rank.config, host.model());
  const Status agreed = agree("the benchmark", {entries ? "" : entries.error().message, {}});
  if (!agreed) return fail(agreed.error(), kCannotStart);
  BenchSetup setup{provenance_of(host, rank.mesh, program),
                   entries->text.model.id,
                   host.storage() == Storage::kFloat32 ? "float32" : "bfloat16",
                   cache_bytes_per_token(host)};
  Result<PolicyComparison> comparison = PolicyComparison{};
  const Status status = run_beside_engine(host, [&] {
    ProgressDisplay display;
    const auto show = [&](const ComparisonProgress& p) {
      display.show(p.done, p.total, concat(p.task, ", length ", p.length, ", ", p.contender));
    };
    comparison = compare_policies(entries->tasks,
                                  entries->contenders,
                                  arguments.comparison,
                                  entries->text.context(),
                                  *host.client(),
                                  python,
                                  show);
  });
  if (!status) return end_of_engine(status);
  if (!comparison) return fail(comparison.error(), status_of(comparison.error()));
  setup.provenance.load_after = load_average();
  const Status written = write_report(*comparison, setup, arguments);
  return written ? kDone : fail(written.error());
}

int run(const PoliciesArguments& arguments, ProgramArguments program) {
  // Every rank starts one, because no rank knows its number yet.
  auto python = std::make_unique<PythonScorer>(
      arguments.python, std::filesystem::path(arguments.tasks_folder) / "score_python.py");
  const MpiSession mpi(program.argc, program.argv);
  const Result<Rank> rank = start_rank(mpi, "bench policies", arguments.config.load());
  if (!rank) return kCannotStart;
  if (rank->mesh.world_rank == 0) return run_front(arguments, *rank, program, *python);
  python.reset();
  if (!agree("the benchmark", {})) return kCannotStart;
  return end_of_engine(rank->engine->run());
}

void add_question_options(CLI::App& command, PoliciesArguments& arguments) {
  command
      .add_option("--tasks", arguments.tasks, "Task names, or paths of .jsonl files with questions")
      ->delimiter(',')
      ->capture_default_str();
  command.add_option("--count", arguments.comparison.count, "Questions of each task")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command
      .add_option("--lengths,--length",
                  arguments.comparison.lengths,
                  "Tokens to generate (max_tokens), one length after the other")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--tasks-dir", arguments.tasks_folder, "Folder of the task files")
      ->type_name("DIR")
      ->capture_default_str();
  command.add_option("--python", arguments.python, "Interpreter that runs generated code")
      ->type_name("PROGRAM")
      ->capture_default_str();
}

void add_run_options(CLI::App& command, PoliciesArguments& arguments) {
  command
      .add_option("--policies",
                  arguments.policies,
                  "POLICY[:PARAMETER=VALUE]..., with the parameters of a request's `diffusion` "
                  "object, as elastic:gamma=0.7:window=32; VALUE/VALUE/... makes one of each, as "
                  "elastic:gamma=0.9/0.95/0.99; `all` is every policy. The first is what speed is "
                  "compared to")
      ->delimiter(',')
      ->capture_default_str();
  command.add_option("--concurrency", arguments.comparison.concurrency, "Sequences at a time")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command
      .add_option("--repeat",
                  arguments.comparison.repeat,
                  "How often to time everything; tokens/s are those of the median")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_flag("--phases", arguments.phases, "Also say where the time of a step goes");
  command.add_option("--json", arguments.json, "File to write the numbers to")->type_name("FILE");
  command.add_flag("--traces",
                   arguments.traces,
                   "Also write each step of each policy's first question of a task to that file");
}

}  // namespace

void add_bench_policies_command(CLI::App& bench, ProgramArguments program, Action& action) {
  CLI::App* command = bench.add_subcommand(
      "policies", "Accuracy and speed of cache policies: same engine, same model, same questions");
  command->footer(
      "Tokens are those returned, up to and including the stop (usage.completion_tokens), counted\n"
      "alike for all policies. Seconds are those of generation alone: no loading, no scoring.");
  const auto arguments = std::make_shared<PoliciesArguments>(*command);
  add_question_options(*command, *arguments);
  add_run_options(*command, *arguments);
  command->callback([arguments, program, &action] {
    action = [arguments, program] { return run(*arguments, program); };
  });
}

}  // namespace rubato
