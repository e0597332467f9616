#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "parallel/communicator.h"
#include "parallel/deadline.h"
#include "runtime/base/error.h"
#include "runtime/checkpoint/checkpoint.h"
#include "runtime/model/model.h"

namespace rubato::cuda {

/// NVIDIA GPUs that this process can use; 0 also where there is no driver.
int num_gpus();

/// Makes this process's context on a GPU, which takes some of its memory. The GPU's UUID, in
/// hexadecimal digits.
std::string take_gpu(int gpu);

/// The bytes that are free on a GPU.
std::int64_t free_bytes(int gpu);

/// Where a rank's network is to lie, and what bounds its steps.
struct GpuPlacement {
  int gpu = 0;
  std::int64_t memory_bytes = 0;  ///< of the GPU's, for this rank
  std::int64_t cache_tokens = 0;
  std::int64_t drift_bytes = 0;  ///< of a step's drift tests
};

/// The bytes of GPU memory that a rank needs for weights, caches and the largest step.
std::int64_t needed_bytes(const ModelShape& shape,
                          std::int64_t cache_tokens,
                          std::int64_t drift_bytes);

/// One rank's network on a GPU: weights, caches, communicator and model, in the order in which they
/// can be had. No CUDA header is needed to use it. Engine thread only, but for `load`.
class GpuRank {
 public:
  /// Loads this rank's share onto its GPU and takes the memory of the caches. Errors:
  /// kInvalidArgument, when weights, caches and the largest step do not fit, with the numbers;
  /// kUnavailable, when memory that was free is not any more.
  static Result<std::unique_ptr<GpuRank>> load(const ModelShape& shape,
                                               const Checkpoint& checkpoint,
                                               const GpuPlacement& placement);

  /// The same with random weights, for measurements.
  static Result<std::unique_ptr<GpuRank>> random(const ModelShape& shape,
                                                 const GpuPlacement& placement);

  ~GpuRank();

  /// Joins the other ranks (collective among `host`'s group, when all have loaded), allocates what
  /// steps need, and returns the model. The calling thread is the engine thread from here on.
  /// graphs: whether CUDA graphs may be used. Errors: kUnavailable, when the memory is no longer
  /// free.
  Result<Model*> start(Communicator& host, const StepDeadlines& deadlines, bool graphs);

  /// "NVIDIA H100 80GB HBM3, 15.0 GB of weights, ...".
  const std::string& description() const;

 private:
  struct Parts;
  explicit GpuRank(std::unique_ptr<Parts> parts);
  template <class MakeWeights>
  static Result<std::unique_ptr<GpuRank>> make(const ModelShape& shape,
                                               const GpuPlacement& placement,
                                               const MakeWeights& make_weights);
  std::unique_ptr<Parts> parts_;
};

}  // namespace rubato::cuda
