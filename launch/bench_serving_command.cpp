#include <algorithm>
#include <array>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "benchmarks/policies/contender.h"
#include "benchmarks/serving/report.h"
#include "benchmarks/serving/sweep.h"
#include "launch/bench_run.h"
#include "launch/commands.h"
#include "launch/progress.h"
#include "launch/read_server_config.h"
#include "launch/refuse.h"
#include "launch/report_file.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

struct ServingArguments {
  std::string url;
  std::vector<std::string> tasks = {"word_problem", "chain", "code"};
  std::string tasks_folder = "benchmarks/policies/tasks";
  std::string policy;
  SweepOptions sweep;
  int timeout_s = 300;
  std::string json;
};

constexpr const char* kHowToStart =
    "--url is missing: this command puts load on a server that runs already. Start one, for "
    "example\n"
    "  launch/up              (installs, builds, starts; or launch/serve where it is built)\n"
    "and then\n"
    "  build/rubato bench serving --url http://127.0.0.1:8000";

constexpr std::array kDefaultConcurrency = {1, 2, 4, 8, 16};

constexpr const char* kBenchServing = "bench serving";

Result<Endpoint> endpoint_of(const ServingArguments& arguments) {
  if (arguments.url.empty()) return Error{Code::kInvalidArgument, kHowToStart, "--url"};
  Result<ServerAddress> address = parse_address(arguments.url);
  if (!address) return address.error();
  const char* key = std::getenv(kAccessKeyVariable);
  return find_endpoint(
      *std::move(address), key == nullptr ? "" : key, std::chrono::seconds(arguments.timeout_s));
}

Result<std::vector<Task>> load_tasks(const ServingArguments& arguments) {
  std::vector<Task> tasks;
  for (const std::string& name : arguments.tasks) {
    Result<Task> task = load_task(arguments.tasks_folder, name);
    if (!task) return task.error();
    tasks.push_back(*std::move(task));
  }
  return tasks;
}

/// The default load: the closed loop.
Result<SweepOptions> options_of(const ServingArguments& arguments) {
  SweepOptions options = arguments.sweep;
  if (options.concurrency.empty() && options.rates.empty())
    options.concurrency.assign(kDefaultConcurrency.begin(), kDefaultConcurrency.end());
  if (arguments.policy.empty()) return options;
  Result<Contender> contender = parse_contender(arguments.policy);
  if (!contender) return contender.error();
  options.diffusion = std::move(contender->diffusion);
  return options;
}

Status write_report(const Sweep& sweep,
                    const SweepOptions& options,
                    const ServingArguments& arguments,
                    const SweepSetup& setup) {
  std::cout << to_table(sweep, options, setup) << std::flush;
  return write_json(arguments.json, to_json(sweep, options, setup));
}

int run(const ServingArguments& arguments, ProgramArguments program) {
  const Result<Endpoint> endpoint = endpoint_of(arguments);
  if (!endpoint) return refuse(kBenchServing, endpoint.error());
  const Result<std::vector<Task>> tasks = load_tasks(arguments);
  if (!tasks) return refuse(kBenchServing, tasks.error());
  const Result<SweepOptions> options = options_of(arguments);
  if (!options) return refuse(kBenchServing, options.error());
  SweepSetup setup{provenance_of(program), endpoint->address.url(), arguments.tasks};
  Result<Sweep> sweep = Sweep();
  {
    ProgressDisplay display;
    sweep = run_sweep(*endpoint, *tasks, *options, [&](const SweepProgress& p) {
      display.show(p.done, p.total, p.level);
    });
  }
  if (!sweep) return refuse(kBenchServing, sweep.error());
  setup.provenance.load_after = load_average();
  const Status written = write_report(*sweep, *options, arguments, setup);
  if (!written) return refuse(kBenchServing, written.error());
  const auto silent = [](const LevelReport& level) { return level.summary.answered == 0; };
  return std::ranges::any_of(sweep->levels, silent) ? kFailed : kDone;
}

void add_load_options(CLI::App& command, ServingArguments& arguments) {
  SweepOptions& sweep = arguments.sweep;
  command
      .add_option(
          "--concurrency",
          sweep.concurrency,
          "Closed loop: requests at a time, a level each (default 1,2,4,8,16, unless --rate "
          "is given)")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096));
  command
      .add_option("--rate",
                  sweep.rates,
                  "Open loop: requests a second, a level each; they arrive as a Poisson process, "
                  "whatever the server does")
      ->delimiter(',')
      ->check(CLI::Range(1e-3, 1e5));
  command
      .add_option("--requests",
                  sweep.requests,
                  "Requests of a level (default 32, or 8 times the concurrency if that is more)")
      ->check(CLI::Range(1, 1 << 20));
  command.add_option("--warm-up", sweep.warm_up, "Requests beforehand, which do not count")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command.add_option("--timeout", arguments.timeout_s, "Seconds that a request may take")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
}

void add_request_options(CLI::App& command, ServingArguments& arguments) {
  command
      .add_option("--tasks", arguments.tasks, "Task names, or paths of .jsonl files with questions")
      ->delimiter(',')
      ->capture_default_str();
  command.add_option("--tasks-dir", arguments.tasks_folder, "Folder of the task files")
      ->type_name("DIR")
      ->capture_default_str();
  command.add_option("--length", arguments.sweep.length, "Tokens to generate (max_tokens)")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command
      .add_option("--seed",
                  arguments.sweep.seed,
                  "Of the order of questions, of arrivals and of the requests' own seeds")
      ->capture_default_str();
  command.add_option(
      "--policy",
      arguments.policy,
      "POLICY[:PARAMETER=VALUE]... that requests ask for (default: nothing, which is "
      "what the server is configured to)");
}

}  // namespace

void add_bench_serving_command(CLI::App& bench, ProgramArguments program, Action& action) {
  CLI::App* command = bench.add_subcommand(
      "serving", "Load on a running server: throughput and latency against the number of clients");
  command->footer(concat(
      "Streams chat completions, a connection each, and takes up one thread. Starts no server and "
      "no\n"
      "ranks: run it without mpirun, best on another machine. An access key is taken from the\n"
      "environment variable ",
      kAccessKeyVariable,
      ". benchmarks/serving/plot.py draws what --json wrote."));
  const auto arguments = std::make_shared<ServingArguments>();
  command->add_option("--url", arguments->url, "The server: http://HOST[:PORT]")->type_name("URL");
  add_load_options(*command, *arguments);
  add_request_options(*command, *arguments);
  command->add_option("--json", arguments->json, "File to write the numbers to")->type_name("FILE");
  command->callback([arguments, program, &action] {
    action = [arguments, program] { return run(*arguments, program); };
  });
}

}  // namespace rubato
