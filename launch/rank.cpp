#include "launch/rank.h"

#include "launch/config_keys.h"
#include "launch/program.h"
#include "parallel/deadline.h"
#include "runtime/base/concat.h"
#include "runtime/base/log.h"

namespace rubato {
namespace {

/// Compares what the ranks were started with. Nothing slow has been done yet, so a rank that does
/// not arrive is missing.
Statement describe_start(const std::string& command, const Result<Config>& config) {
  if (!config) return {config.error().message, {}};
  Statement statement;
  const auto state = [&](std::string name, std::string value) {
    statement.facts.push_back({std::move(name), std::move(value)});
  };
  state("program", concat("rubato ", program_version(), ", build ", program_build()));
  state("command", command);
  Config copy = *config;
  for (const ConfigKey& key : config_keys(copy)) {
    if (!key.may_differ) state(key.dotted(), show_value(key));
  }
  return statement;
}

/// A failure of rank 0 is a failure of all ranks.
Status prepare_loading(const std::function<Status()>& before_loading) {
  const Status mine = before_loading();
  const Status agreed = agree("what they need besides the model",
                              {mine ? "" : mine.error().message, {}},
                              kDefaultCollectiveDeadline);
  if (agreed) return {};
  return Error{Code::kUnavailable, agreed.error().message, kBeforeLoading};
}

Result<Rank> start(const std::string& command,
                   const Result<Config>& config,
                   const std::function<Status()>& before_loading) {
  const Status agreed =
      agree("how they were started", describe_start(command, config), kDefaultCollectiveDeadline);
  if (!agreed) return agreed.error();
  const Result<Mesh> mesh = make_mesh(config->engine.tp, config->engine.replicas);
  if (!mesh) return mesh.error();
  configure_logging(log_level(config->log),
                    mesh->world_size > 1 ? concat("rank ", mesh->world_rank) : "");
  if (mesh->world_rank == 0) {
    for (const std::string& line : describe(*config)) log_info(line);
  }
  if (before_loading) {
    if (const Status prepared = prepare_loading(before_loading); !prepared) return prepared.error();
  }
  Result<std::unique_ptr<EngineHost>> engine = EngineHost::load(*config, *mesh);
  if (!engine) return engine.error();
  return Rank{*config, *mesh, *std::move(engine)};
}

}  // namespace

Result<Rank> start_rank(const MpiSession& mpi,
                        const std::string& command,
                        const Result<Config>& config,
                        const std::function<Status()>& before_loading) {
  Result<Rank> rank = start(command, config, before_loading);
  if (!rank && mpi.rank() == 0) log_error(rank.error().message);
  return rank;
}

int end_of_engine(const Status& status) {
  if (!status) end_for_failure(/*rank=*/0, status.error().message);
  return kDone;
}

int fail(const Error& error, ExitStatus status) {
  log_error(error.message);
  return status;
}

}  // namespace rubato
