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

/// How a rank's share is laid on its GPU, or why it cannot be.
Result<std::string> describe(const ModelShape& shape, std::int64_t cache_tokens, int gpu) {
  constexpr int kMostHeadDim = 128;
  if (shape.head_dim() > kMostHeadDim) {
    return Error{Code::kInvalidArgument,
                 concat("the model's heads are ",
                        shape.head_dim(),
                        " wide; on a GPU they may be up to ",
                        kMostHeadDim)};
  }
  std::size_t free = 0, total = 0;
  RUBATO_CUDA(cudaMemGetInfo(&free, &total));
  const auto weights = static_cast<double>(weight_bytes(shape)) / kGiB;
  const auto caches =
      static_cast<double>(cache_shape(shape, cache_tokens).bytes_per_token() * cache_tokens) / kGiB;
  const auto scratch = static_cast<double>(CudaModel::scratch_bytes(shape, cache_tokens)) / kGiB;
  const double available = static_cast<double>(free) / kGiB;
  cudaDeviceProp properties{};
  RUBATO_CUDA(cudaGetDeviceProperties(&properties, gpu));
  const std::string sizes = concat(weights,
                                   " GiB of weights, ",
                                   caches,
                                   " GiB of caches for ",
                                   cache_tokens,
                                   " tokens, up to ",
                                   scratch,
                                   " GiB for a step");
  if (weights + caches + scratch > available) {
    return Error{Code::kInvalidArgument,
                 concat("GPU ",
                        gpu,
                        " (",
                        properties.name,
                        ") has ",
                        available,
                        " GiB free, too little for ",
                        sizes,
                        "; lower engine.cache_tokens or share the model over more ranks")};
  }
  return concat("GPU ", gpu, ", ", properties.name, ": ", sizes);
}

}  // namespace

int num_gpus() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

struct GpuRank::Parts {
  Parts(const ModelShape& its_shape, std::int64_t cache_tokens, int its_gpu)
      : shape(its_shape), gpu(its_gpu), cache(cache_shape(its_shape, cache_tokens)) {}

  // In order of use: each is destroyed before what it refers to.
  const ModelShape shape;
  const int gpu;
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
                                               std::int64_t cache_tokens,
                                               int gpu,
                                               const MakeWeights& make_weights) {
  RUBATO_CUDA(cudaSetDevice(gpu));
  Result<std::string> description = describe(shape, cache_tokens, gpu);
  if (!description) return description.error();
  auto parts = std::make_unique<Parts>(shape, cache_tokens, gpu);
  parts->description = *std::move(description);
  parts->weights = make_weights(parts->stream.get());
  return std::unique_ptr<GpuRank>(new GpuRank(std::move(parts)));
}

Result<std::unique_ptr<GpuRank>> GpuRank::load(const ModelShape& shape,
                                               const Checkpoint& checkpoint,
                                               std::int64_t cache_tokens,
                                               int gpu) {
  return make(shape, cache_tokens, gpu, [&](Stream stream) {
    return load_device_weights(shape, checkpoint, stream);
  });
}

Result<std::unique_ptr<GpuRank>> GpuRank::random(const ModelShape& shape,
                                                 std::int64_t cache_tokens,
                                                 int gpu) {
  return make(shape, cache_tokens, gpu, [&](Stream stream) {
    return random_device_weights(shape, /*seed=*/1, stream);
  });
}

Model& GpuRank::start(Communicator& host, std::chrono::milliseconds deadline, bool graphs) {
  RUBATO_CUDA(cudaSetDevice(parts_->gpu));  // a thread's own
  parts_->communicator = make_device_communicator(host, parts_->gpu, deadline);
  parts_->model = std::make_unique<CudaModel>(parts_->shape,
                                              parts_->weights,
                                              parts_->cache,
                                              host,
                                              *parts_->communicator,
                                              parts_->stream.get(),
                                              graphs);
  return *parts_->model;
}

const std::string& GpuRank::description() const {
  return parts_->description;
}

}  // namespace rubato::cuda
