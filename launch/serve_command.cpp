#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <memory>
#include <thread>

#include "http/server.h"
#include "launch/commands.h"
#include "launch/drain_deadline.h"
#include "launch/engine_host.h"
#include "launch/options.h"
#include "launch/serving.h"
#include "launch/stop_signals.h"
#include "parallel/mpi.h"
#include "runtime/base/concat.h"
#include "runtime/base/log.h"

namespace rubato {
namespace {

struct ServeArguments {
  explicit ServeArguments(CLI::App& command) : config(command) {}
  ConfigOptions config;
  std::string ready_file;
};

int fail(const Error& error) {
  log_error(error.message);
  return 1;
}

ServerConfig server_config(const ServerSection& section) {
  return {.bind = section.bind,
          .port = section.port,
          .threads = section.threads,
          .max_body_bytes = section.max_body_bytes,
          .max_header_bytes = section.max_header_bytes,
          .max_header_fields = section.max_header_fields,
          .max_json_depth = section.max_json_depth,
          .max_connections = section.max_connections,
          .request_timeout_s = section.request_timeout_s,
          .idle_timeout_s = section.idle_timeout_s,
          .version = RUBATO_VERSION};
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
  const Status agreed = agree("the tokenizer", "", text ? "" : text.error().message);
  if (!agreed) return fail(agreed.error());
  Server server(server_config(config.server),
                text->model,
                text->tokenizer,
                text->chat_template,
                *host.coordinator(),
                text->defaults);
  if (Status status = server.start(); !status) {
    host.coordinator()->shut_down(/*finish_running=*/false);
    if (Status ended = host.run(); !ended) log_error(ended.error().message);
    return fail(status.error());
  }
  DrainDeadline deadline;
  int stops = 0;
  signals.listen([&](int) {
    const bool drain = stops++ == 0;
    log_info(drain ? "draining: finishing what runs, taking nothing new" : "stopping at once");
    host.coordinator()->shut_down(/*finish_running=*/drain);  // new requests get a 503 from now on
    if (!drain) return;
    deadline.start(std::chrono::seconds(config.server.drain_timeout_s), [&] {
      log_warning("the drain deadline has passed: ending what still runs");
      host.coordinator()->shut_down(/*finish_running=*/false);
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
  return status ? 0 : fail(status.error());
}

int serve(const ServeArguments& arguments, ProgramArguments program) {
  StopSignals signals;  // before MPI starts threads
  MpiSession mpi(program.argc, program.argv);
  Result<Config> config = arguments.config.load();
  if (!config) return fail(config.error());
  Result<Mesh> mesh = make_mesh(config->engine.tp);
  if (!mesh) return fail(mesh.error());
  configure_logging(log_level(config->log),
                    mesh->world_size > 1 ? concat("rank ", mesh->world_rank) : "");
  if (mesh->world_rank == 0) {
    for (const std::string& line : describe(*config)) log_info(line);
  }
  Result<std::unique_ptr<EngineHost>> host = EngineHost::load(*config, *mesh);
  if (!host) return fail(host.error());
  if (mesh->tp_rank == 0) return serve_front(*config, **host, signals, arguments.ready_file);
  signals.listen([](int) {});  // rank 0 drains for all
  if (Status agreed = agree("the tokenizer", "", ""); !agreed) return fail(agreed.error());
  const Status status = (*host)->run();
  return status ? 0 : fail(status.error());
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
