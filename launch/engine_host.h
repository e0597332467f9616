#pragma once

#include <functional>
#include <memory>

#include "launch/config.h"
#include "parallel/mpi.h"
#include "runtime/checkpoint/model_config.h"
#include "runtime/engine/coordinator.h"
#include "runtime/model/kernels/kernels.h"

namespace rubato {

/// One rank's engine: its weights, caches, communicators and step loop, wired as the configuration
/// says. All ranks of the group make one each, after `make_mesh`. The MPI session outlives it.
class EngineHost {
 public:
  /// Opens the checkpoint, compares it with the other ranks' and loads this rank's share. All ranks
  /// return together and alike: what went wrong on one is the error of all.
  static Result<std::unique_ptr<EngineHost>> load(const Config& config, const Mesh& mesh);
  ~EngineHost();

  const ModelConfig& model() const;
  Storage storage() const;
  int num_threads() const;  ///< of this rank, for compute

  /// The door for generations, to all replicas, on the job's rank 0; null on the others.
  GenerationClient* client();

  /// Time that this rank has spent in collectives since the start, waiting for other ranks
  /// included; those of NCCL, which a GPU makes by itself, are not. Any thread.
  std::int64_t collective_nanoseconds() const;

  /// Ends `run` on every rank of the job: as `Coordinator::shut_down`. The job's rank 0 only; any
  /// thread.
  void shut_down(bool finish_running);

  /// Makes steps until the engine is shut down; on rank 0, until all replicas have ended. Calls
  /// `started`, if given, before the first one, when all ranks have met for it: from then on a rank
  /// that does not answer ends the job. The calling thread is the engine thread. A rank that cannot
  /// go on ends its process, and with it the job (`end_for_failure`); rank 0 returns the error, to
  /// write out its answers and do so then.
  Status run(const std::function<void()>& started = {});

 private:
  struct Parts;
  Status run_steps(const std::function<void()>& started);
  explicit EngineHost(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace rubato
