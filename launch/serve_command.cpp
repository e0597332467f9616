#include <CLI/CLI.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>

#include "http/server.h"
#include "launch/commands.h"
#include "launch/drain_deadline.h"
#include "launch/open_files.h"
#include "launch/options.h"
#include "launch/program.h"
#include "launch/rank.h"
#include "launch/read_server_config.h"
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

/// Open files besides clients' connections: the checkpoint, the log, the other ranks.
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

/// Rank 0's front end, which answers that the model is loading. The other ranks have none.
std::unique_ptr<Server> make_front(std::optional<ServerConfig> settings) {
  if (!settings) return nullptr;
  return std::make_unique<Server>(*std::move(settings));
}

Status begin_listening(const ServerSection& config, Server& server) {
  make_room_for_connections(config.max_connections);
  const Status listening = server.start();
  if (listening)
    log_info(concat("listening at ", url_of(config.bind, server.port()), "; loading the model"));
  return listening;
}

/// Announces the server's URL, first in the file that a script may wait for.
Status announce(const std::string& url, const std::filesystem::path& ready_file) {
  if (!ready_file.empty()) {
    std::filesystem::path unfinished = ready_file;
    unfinished += ".new";
    std::error_code failure;
    errno = 0;
    if (std::ofstream out(unfinished); !(out << url << '\n' << std::flush)) {
      failure.assign(errno, std::generic_category());
    } else {
      std::filesystem::rename(unfinished, ready_file, failure);
    }
    if (failure) {
      return Error{Code::kInvalidArgument,
                   concat("cannot write ", ready_file.string(), ": ", failure.message()),
                   "--ready-file"};
    }
  }
  log_info(concat("ready at ", url));
  return {};
}

/// Rank 0: the front end; the engine has the calling thread until it is drained.
int serve_front(const Config& config,
                EngineHost& host,
                StopSignals& signals,
                Server& server,
                const std::string& ready_file) {
  Result<TextSide> text = load_text_side(config, host.model());
  const Status agreed = agree("the front end", {text ? "" : text.error().message, {}});
  if (!agreed) return fail(agreed.error(), kCannotStart);
  // run-batch waits for queue space; HTTP clients are refused.
  text->defaults.max_choices = config.engine.max_queued;
  Status ready;
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
  const Status status = host.run([&] {
    server.serve({text->context(), *host.client()});
    ready = announce(url_of(config.server.bind, server.port()), ready_file);
    if (!ready) host.shut_down(/*finish_running=*/false);
  });
  if (!ready) {
    server.stop();
    signals.stop();
    deadline.cancel();
    if (!status) log_error(status.error().message);
    const bool asked_wrongly = ready.error().code == Code::kInvalidArgument;
    return fail(ready.error(), asked_wrongly ? kCannotStart : kFailed);
  }
  server.stop_accepting();
  // The engine has answered everything; wait until the answers are written.
  const auto written_by = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (server.active_requests() > 0 && std::chrono::steady_clock::now() < written_by)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  signals.stop();
  deadline.cancel();
  server.stop();
  return end_of_engine(status);
}

/// The other ranks: the engine, until rank 0 ends it.
int serve_back(EngineHost& host, StopSignals& signals) {
  signals.listen([](int) {});  // rank 0 drains for all
  if (!agree("the front end", {})) return kCannotStart;
  return end_of_engine(host.run());
}

int serve(const ServeArguments& arguments, ProgramArguments program) {
  StopSignals signals;  // before MPI starts threads
  const MpiSession mpi(program.argc, program.argv);
  Result<Config> config = arguments.config.load();
  std::optional<ServerConfig> settings;  // rank 0's, checked before anything is loaded
  if (config && mpi.rank() == 0) {
    Result<ServerConfig> checked = read_server_config(config->server);
    if (checked) {
      settings = std::move(checked).value();
    } else {
      config = checked.error();
    }
  }
  const std::unique_ptr<Server> server = make_front(std::move(settings));
  const auto listen = [&] { return server ? begin_listening(config->server, *server) : Status(); };
  const Result<Rank> rank = start_rank(mpi, "serve", config, listen);
  // An address in use may become free; other errors would occur again.
  if (!rank) return rank.error().param == kBeforeLoading ? kFailed : kCannotStart;
  if (!server) return serve_back(*rank->engine, signals);
  return serve_front(rank->config, *rank->engine, signals, *server, arguments.ready_file);
}

}  // namespace

void add_serve_command(CLI::App& app, ProgramArguments program, Action& action) {
  CLI::App* command =
      app.add_subcommand("serve", "Serve a model over HTTP; start it with mpirun -np RANKS");
  const auto arguments = std::make_shared<ServeArguments>(*command);
  command
      ->add_option(
          "--ready-file", arguments->ready_file, "File to write the URL to once requests are taken")
      ->check([](const std::string& path) { return path.empty() ? "a path is wanted" : ""; });
  command->callback([arguments, program, &action] {
    action = [arguments, program] { return serve(*arguments, program); };
  });
}

}  // namespace rubato
