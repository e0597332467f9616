#pragma once

#include <functional>
#include <memory>
#include <string>

#include "launch/config.h"
#include "launch/engine_host.h"
#include "launch/exit_status.h"
#include "parallel/mpi.h"

namespace rubato {

inline constexpr const char* kBeforeLoading = "before loading";

/// One rank of a job, up to its loaded engine.
struct Rank {
  Config config;
  Mesh mesh;
  std::unique_ptr<EngineHost> engine;
};

/// Brings this rank up: compares program, `command` and configuration with the other ranks, takes
/// its place among them, loads its share of the model. To be called once by every rank of the job.
/// All ranks get the same error, and rank 0 has logged it. `before_loading` is called in between,
/// on every rank, before what takes long; an error of it has `kBeforeLoading` as its parameter.
Result<Rank> start_rank(const MpiSession& mpi,
                        const std::string& command,
                        const Result<Config>& config,
                        const std::function<Status()>& before_loading = {});

/// What a command ends with when its engine has ended and, on rank 0, its answers are written.
/// After a failure, of which only rank 0 still lives to hear, it does not return: the other ranks
/// wait in a step (`end_for_failure`).
int end_of_engine(const Status& status);

/// Logs an error and returns the exit status.
int fail(const Error& error, ExitStatus status = kFailed);

}  // namespace rubato
