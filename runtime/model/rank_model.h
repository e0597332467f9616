#pragma once

#include <memory>
#include <span>
#include <string>

#include "parallel/communicator.h"
#include "parallel/deadline.h"
#include "runtime/base/error.h"
#include "runtime/checkpoint/checkpoint.h"
#include "runtime/model/model.h"

namespace rubato {

/// The device that a rank computes on.
enum class Device : std::uint8_t { kCpu, kCuda };

/// The device with that name; `auto` is a GPU if the program was built for GPUs and finds one.
/// Errors: kUnavailable, if the device cannot be used here.
Result<Device> choose_device(const std::string& name);

/// The GPU that a rank uses.
struct RankGpu {
  int index = 0;          ///< as this process numbers its GPUs
  std::string uuid = {};  ///< the same in every process; empty: the rank computes on CPUs
};

/// Chooses a rank's GPU by its number among the ranks of its machine, and initializes it for this
/// process, which takes some of its memory.
RankGpu take_gpu(Device device, int local_rank);

/// How many bytes of its device's memory a rank may use: the free memory, divided by the ranks that
/// share the device. uuids: of all ranks of the job, all of which have called `take_gpu` and none
/// of which has loaded yet. On CPUs: no limit.
std::int64_t memory_share(const RankGpu& gpu, std::span<const std::string> uuids);

/// One rank's network on its device: weights and caches, then the model over them. Engine thread
/// only.
class RankModel {
 public:
  virtual ~RankModel() = default;

  /// Makes the model; call once. Collective among `communicator`'s ranks, all of which have loaded.
  /// A rank whose GPU does not do its part of a step within `deadlines` ends the process. Errors:
  /// kUnavailable, when a GPU's memory is no longer free.
  virtual Result<Model*> start(Communicator& communicator, const StepDeadlines& deadlines) = 0;

  /// One line for the log.
  virtual std::string description() const = 0;
};

/// Where and in how much memory to place a rank's model.
struct Placement {
  Device device = Device::kCpu;
  std::int64_t memory_bytes = 0;  ///< of a GPU, from `memory_share`
  std::int64_t cache_tokens = 0;
  std::int64_t drift_bytes = 0;  ///< the most that a step's drift tests take
  int gpu = 0;                   ///< from `RankGpu::index`
  bool cuda_graphs = true;       ///< whether a GPU may replay recorded passes
};

/// How many cache tokens this rank has room for, up to about `most`; of the placement everything
/// but `cache_tokens` counts. On CPUs: `most`.
std::int64_t fitting_cache_tokens(const ModelShape& shape,
                                  const Placement& placement,
                                  std::int64_t most);

/// This rank's share of a checkpoint. Errors: kInvalidArgument, when it does not fit the device.
Result<std::unique_ptr<RankModel>> load_rank_model(const ModelShape& shape,
                                                   const Checkpoint& checkpoint,
                                                   const Placement& placement);

/// The same with random weights, for measurements.
Result<std::unique_ptr<RankModel>> random_rank_model(const ModelShape& shape,
                                                     const Placement& placement);

}  // namespace rubato
