#pragma once

#include <functional>
#include <memory>

#include "launch/config.h"
#include "parallel/mpi.h"
#include "runtime/checkpoint/model_config.h"
#include "runtime/engine/coordinator.h"
#include "runtime/model/kernels/kernels.h"

namespace rubato {

class Model;

/// One rank's engine: its weights, caches, communicators and step loop, wired as the configuration
/// says. Each rank of the group makes one, after `make_mesh`. The MPI session outlives it.
class EngineHost {
 public:
  /// Opens the checkpoint, compares it with the other ranks' and loads this rank's share. All ranks
  /// return together with the same result: an error on one is the error of all.
  static Result<std::unique_ptr<EngineHost>> load(const Config& config, const Mesh& mesh);
  ~EngineHost();

  const ModelConfig& model() const;
  Storage storage() const;
  int num_threads() const;  ///< of this rank, for compute

  /// The client for generations on all replicas, on the job's rank 0; null on the others.
  GenerationClient* client();

  /// Time that this rank has spent in collectives since the start, including the wait for other
  /// ranks but not NCCL's collectives, which run on the GPU. Any thread.
  std::int64_t collective_nanoseconds() const;

  /// Ends `run` on every rank of the job: as `Coordinator::shut_down`. The job's rank 0 only; any
  /// thread.
  void shut_down(bool finish_running);

  /// Runs steps until the engine is shut down; on rank 0, until all replicas have ended. Calls
  /// `started`, if given, before the first step, once all ranks have met for it: from then on a
  /// rank that does not answer ends the job. The calling thread is the engine thread. A rank that
  /// cannot continue ends its process, and with it the job (`end_for_failure`); rank 0 returns the
  /// error instead, so that the caller can write out the answers first.
  Status run(const std::function<void()>& started = {});

 private:
  struct Parts;
  Status run_steps(const std::function<void()>& started);
  Result<Model*> start_model();
  explicit EngineHost(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace rubato
