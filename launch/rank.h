#pragma once

#include <functional>
#include <memory>
#include <string>

#include "launch/config.h"
#include "launch/engine_host.h"
#include "parallel/mpi.h"
#include "runtime/base/exit_status.h"

namespace rubato {

inline constexpr const char* kBeforeLoading = "before loading";

/// One rank of a job, up to its loaded engine.
struct Rank {
  Config config;
  Mesh mesh;
  std::unique_ptr<EngineHost> engine;
};

/// Starts this rank: compares program, `command` and configuration with the other ranks, makes the
/// mesh, loads this rank's share of the model. Called once by every rank of the job. All ranks get
/// the same error, which rank 0 has logged. `before_loading` is called on every rank before the
/// model is loaded; its errors have `kBeforeLoading` as their parameter.
Result<Rank> start_rank(const MpiSession& mpi,
                        const std::string& command,
                        const Result<Config>& config,
                        const std::function<Status()>& before_loading = {});

/// The exit status of a command whose engine has ended and, on rank 0, whose answers are written.
/// After a failure, which only reaches this point on rank 0, it ends the process instead: the other
/// ranks wait in a step (`end_for_failure`).
int end_of_engine(const Status& status);

/// Logs an error and returns the exit status.
int fail(const Error& error, ExitStatus status = kFailed);

}  // namespace rubato
