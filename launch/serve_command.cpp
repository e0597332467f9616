#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <memory>
#include <thread>

#include "http/server.h"
#include "launch/commands.h"
#include "launch/drain_deadline.h"
#include "launch/open_files.h"
#include "launch/options.h"
#include "launch/program.h"
#include "launch/rank.h"
#include "launch/server_config.h"
#include "launch/serving.h"
#include "launch/stop_signals.h"
#include "runtime/base/concat.h"
#include "runtime/base/log.h"

namespace rubato {
namespace {

struct ServeArguments {
  explicit ServeArguments(CLI::App& command) : config(command) {}
  ConfigOptions config;
  std::string ready_file;
};

/// Files that are open beside clients' connections: the checkpoint, the log, the other ranks.
constexpr int kOtherFiles = 256;

void make_room_for_connections(int connections) {
  const std::int64_t limit = allow_open_files(std::int64_t{connections} + kOtherFiles);
  if (limit >= connections + kOtherFiles) return;
  log_warning(concat("server.max_connections is ",
                     connections,
                     ", but this system lets a process open ",
                     limit,
                     " files (ulimit -Hn): further connections will wait"));
}

void announce(const Server& server, const Config& config, const std::string& ready_file) {
  const std::string url = concat("http://", config.server.bind, ":", server.port());
  log_info(concat("ready at ", url));
  if (ready_file.empty()) return;
  std::ofstream(ready_file + ".new") << url << '\n';
  std::filesystem::rename(ready_file + ".new", ready_file);
}

/// Rank 0: the front end, beside the engine, which has the calling thread until it is drained.
int serve_front(const Config& config,
                EngineHost& host,
                StopSignals& signals,
                const std::string& ready_file) {
  Result<TextSide> text = load_text_side(config, host.model());
  Result<ServerConfig> settings = server_config(config.server);
  const std::string failure = !text       ? text.error().message
                              : !settings ? settings.error().message
                                          : "";
  const Status agreed = agree("the front end", {failure, {}});
  if (!agreed) return fail(agreed.error(), kCannotStart);
  text->defaults.max_choices = config.engine.max_queued;  // a batch waits for places; a client not
  make_room_for_connections(config.server.max_connections);
  Server server(std::move(settings).value(),
                text->model,
                text->tokenizer,
                text->chat_template,
                *host.client(),
                text->defaults);
  if (Status status = server.start(); !status) {
    host.shut_down(/*finish_running=*/false);
    if (Status ended = host.run(); !ended) log_error(ended.error().message);
    return fail(status.error());
  }
  DrainDeadline deadline;
  int stops = 0;
  signals.listen([&](int) {
    const bool drain = stops++ == 0;
    log_info(drain ? "draining: finishing what runs, taking nothing new" : "stopping at once");
    host.shut_down(/*finish_running=*/drain);  // new requests get a 503 from now on
    if (!drain) return;
    deadline.start(std::chrono::seconds(config.server.drain_timeout_s), [&] {
      log_warning("the drain deadline has passed: ending what still runs");
      host.shut_down(/*finish_running=*/false);
    });
  });
  announce(server, config, ready_file);
  const Status status = host.run();
  server.stop_accepting();
  // The engine has answered everything; what is left is to write it out.
  const auto written_by = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (server.active_requests() > 0 && std::chrono::steady_clock::now() < written_by)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  signals.stop();
  deadline.cancel();
  server.stop();
  return status ? kDone : fail(status.error());
}

/// The other ranks: the engine, for as long as rank 0 has it run.
int serve_back(EngineHost& host, StopSignals& signals) {
  signals.listen([](int) {});  // rank 0 drains for all
  if (!agree("the front end", {})) return kCannotStart;
  const Status status = host.run();
  return status ? kDone : fail(status.error());
}

int serve(const ServeArguments& arguments, ProgramArguments program) {
  StopSignals signals;  // before MPI starts threads
  const MpiSession mpi(program.argc, program.argv);
  const Result<Rank> rank = start_rank(mpi, "serve", arguments.config.load());
  if (!rank) return kCannotStart;
  if (rank->mesh.world_rank > 0) return serve_back(*rank->engine, signals);
  return serve_front(rank->config, *rank->engine, signals, arguments.ready_file);
}

}  // namespace

void add_serve_command(CLI::App& app, ProgramArguments program, Action& action) {
  CLI::App* command =
      app.add_subcommand("serve", "Serve a model over HTTP; start it with mpirun -np RANKS");
  const auto arguments = std::make_shared<ServeArguments>(*command);
  command->add_option(
      "--ready-file", arguments->ready_file, "File to write the URL to once requests are taken");
  command->callback([arguments, program, &action] {
    action = [arguments, program] { return serve(*arguments, program); };
  });
}

}  // namespace rubato
