#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "parallel/communicator.h"
#include "runtime/base/error.h"
#include "runtime/checkpoint/checkpoint.h"
#include "runtime/model/model.h"

namespace rubato {

/// What a rank computes on.
enum class Device : std::uint8_t { kCpu, kCuda };

/// The device of that name, `auto`: a GPU where this program can use them and one is there. Errors:
/// kUnavailable, when it cannot be had here.
Result<Device> choose_device(const std::string& name);

/// The bytes of its device's memory that a rank may take: what is free, divided by the ranks that
/// share it. To be asked for by all ranks before any of them loads. Of processors: no bound.
std::int64_t memory_share(Device device, int rank, int ranks_on_machine);

/// One rank's network on its device: weights and caches, then the model over them. Engine thread
/// only.
class RankModel {
 public:
  virtual ~RankModel() = default;

  /// The model, once: collective among `communicator`'s ranks, all of which have loaded. Waits for
  /// another rank up to `deadline`, which ends the process.
  virtual Model& start(Communicator& communicator, std::chrono::milliseconds deadline) = 0;

  /// One line for the log.
  virtual std::string description() const = 0;
};

/// Where a rank's model is to lie.
struct Placement {
  Device device = Device::kCpu;
  std::int64_t memory_bytes = 0;  ///< of a GPU's, as `memory_share`
  std::int64_t cache_tokens = 0;
  std::int64_t drift_bytes = 0;  ///< a step's drift tests take no more
  int rank = 0;                  ///< of the job: takes GPU `rank` modulo their number
  bool cuda_graphs = true;       ///< whether a GPU may launch recorded steps
};

/// This rank's share of a checkpoint. Errors: kInvalidArgument, when it does not fit the device.
Result<std::unique_ptr<RankModel>> load_rank_model(const ModelShape& shape,
                                                   const Checkpoint& checkpoint,
                                                   const Placement& placement);

/// The same with random weights, for measurements.
Result<std::unique_ptr<RankModel>> random_rank_model(const ModelShape& shape,
                                                     const Placement& placement);

}  // namespace rubato
