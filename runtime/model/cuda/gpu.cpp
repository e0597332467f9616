#include <cuda_runtime_api.h>

#include "parallel/cuda/cuda_check.h"
#include "parallel/cuda/nccl_communicator.h"
#include "runtime/base/concat.h"
#include "runtime/model/cache_shape.h"
#include "runtime/model/cuda/cuda_model.h"
#include "runtime/model/cuda/gpu_rank.h"
#include "runtime/model/cuda/owned_stream.h"

namespace rubato::cuda {
namespace {

constexpr double kGiB = 1 << 30;

/// What NCCL, up to 32 graphs and the libraries' kernels take, roughly: it has not been measured.
constexpr std::int64_t kLibraryBytes = 512 << 20;

/// What a rank needs of its GPU.
struct Needed {
  std::int64_t weights = 0, caches = 0, step = 0;  // bytes
};

Needed needed(const ModelShape& shape, std::int64_t tokens, std::int64_t drift_bytes) {
  return {.weights = weight_bytes(shape),
          .caches = cache_shape(shape, tokens).bytes_per_token() * tokens,
          .step = kLibraryBytes + CudaModel::scratch_bytes(shape, {tokens, drift_bytes})};
}

/// How a rank's share is laid on its GPU, or why it cannot be.
Result<std::string> describe(const ModelShape& shape, const GpuPlacement& placement) {
  constexpr int kMostHeadDim = 128;
  if (shape.head_dim() > kMostHeadDim) {
    return Error{Code::kInvalidArgument,
                 concat("the model's heads are ",
                        shape.head_dim(),
                        " wide; on a GPU they may be up to ",
                        kMostHeadDim)};
  }
  const std::int64_t tokens = placement.cache_tokens;
  const auto [weights, caches, step] = needed(shape, tokens, placement.drift_bytes);
  cudaDeviceProp properties{};
  RUBATO_CUDA(cudaGetDeviceProperties(&properties, placement.gpu));
  const auto gib = [](std::int64_t bytes) { return static_cast<double>(bytes) / kGiB; };
  const std::string sizes = concat(gib(weights),
                                   " GiB of weights, ",
                                   gib(caches),
                                   " GiB of caches for ",
                                   tokens,
                                   " tokens, up to ",
                                   gib(step),
                                   " GiB for a step");
  if (weights + caches + step > placement.memory_bytes) {
    return Error{Code::kInvalidArgument,
                 concat("GPU ",
                        placement.gpu,
                        " (",
                        properties.name,
                        ") has ",
                        gib(placement.memory_bytes),
                        " GiB free for this rank, too little for ",
                        sizes,
                        "; lower engine.cache_tokens or engine.max_drift_mib, or share the model "
                        "over more GPUs")};
  }
  return concat("GPU ", placement.gpu, ", ", properties.name, ": ", sizes);
}

/// When memory that was counted as free cannot be allocated after all.
Error not_free(int gpu, const OutOfMemory& failure) {
  return {
      Code::kUnavailable,
      concat("GPU ", gpu, ": ", failure.what(), "; another process may have taken it meanwhile")};
}

}  // namespace

int num_gpus() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

std::string take_gpu(int gpu) {
  RUBATO_CUDA(cudaSetDevice(gpu));
  RUBATO_CUDA(cudaFree(nullptr));  // makes the context
  cudaDeviceProp properties{};
  RUBATO_CUDA(cudaGetDeviceProperties(&properties, gpu));
  constexpr char kDigits[] = "0123456789abcdef";
  std::string uuid;
  for (const char byte : properties.uuid.bytes) {
    uuid += kDigits[byte >> 4 & 15];
    uuid += kDigits[byte & 15];
  }
  return uuid;
}

std::int64_t free_bytes(int gpu) {
  RUBATO_CUDA(cudaSetDevice(gpu));
  std::size_t free = 0, total = 0;
  RUBATO_CUDA(cudaMemGetInfo(&free, &total));
  return static_cast<std::int64_t>(free);
}

std::int64_t needed_bytes(const ModelShape& shape,
                          std::int64_t cache_tokens,
                          std::int64_t drift_bytes) {
  const auto [weights, caches, step] = needed(shape, cache_tokens, drift_bytes);
  return weights + caches + step;
}

struct GpuRank::Parts {
  Parts(const ModelShape& its_shape, const GpuPlacement& placement)
      : shape(its_shape),
        gpu(placement.gpu),
        bounds{placement.cache_tokens, placement.drift_bytes},
        cache(cache_shape(its_shape, placement.cache_tokens)) {}

  // In order of use: each is destroyed before what it refers to.
  const ModelShape shape;
  const int gpu;
  const StepBounds bounds;
  std::string description;
  OwnedStream stream;
  DeviceWeights weights;
  DeviceCache cache;
  std::unique_ptr<DeviceCommunicator> communicator;
  std::unique_ptr<CudaModel> model;
};

GpuRank::GpuRank(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

GpuRank::~GpuRank() = default;

template <class MakeWeights>
Result<std::unique_ptr<GpuRank>> GpuRank::make(const ModelShape& shape,
                                               const GpuPlacement& placement,
                                               const MakeWeights& make_weights) {
  RUBATO_CUDA(cudaSetDevice(placement.gpu));
  Result<std::string> description = describe(shape, placement);
  if (!description) return description.error();
  try {
    auto parts = std::make_unique<Parts>(shape, placement);
    parts->description = *std::move(description);
    parts->weights = make_weights(parts->stream.get());
    return std::unique_ptr<GpuRank>(new GpuRank(std::move(parts)));
  } catch (const OutOfMemory& failure) {
    return not_free(placement.gpu, failure);
  }
}

Result<std::unique_ptr<GpuRank>> GpuRank::load(const ModelShape& shape,
                                               const Checkpoint& checkpoint,
                                               const GpuPlacement& placement) {
  return make(shape, placement, [&](Stream stream) {
    return load_device_weights(shape, checkpoint, stream);
  });
}

Result<std::unique_ptr<GpuRank>> GpuRank::random(const ModelShape& shape,
                                                 const GpuPlacement& placement) {
  return make(shape, placement, [&](Stream stream) {
    return random_device_weights(shape, /*seed=*/1, stream);
  });
}

Result<Model*> GpuRank::start(Communicator& host, const StepDeadlines& deadlines, bool graphs) {
  RUBATO_CUDA(cudaSetDevice(parts_->gpu));  // a thread's own
  parts_->communicator = make_device_communicator(host, parts_->gpu, deadlines);
  try {
    parts_->model = std::make_unique<CudaModel>(parts_->shape,
                                                parts_->weights,
                                                parts_->cache,
                                                host,
                                                *parts_->communicator,
                                                parts_->stream.get(),
                                                parts_->bounds,
                                                graphs);
  } catch (const OutOfMemory& failure) {
    return not_free(parts_->gpu, failure);
  }
  return parts_->model.get();
}

const std::string& GpuRank::description() const {
  return parts_->description;
}

}  // namespace rubato::cuda
