#include "runtime/model/rank_model.h"

#include <cmath>
#include <limits>
#include <optional>

#include "runtime/base/concat.h"
#include "runtime/model/cache_shape.h"
#include "runtime/model/cpu_model.h"
#ifdef RUBATO_WITH_CUDA
#include "runtime/model/cuda/gpu_rank.h"
#include "runtime/model/gpu_share.h"
#endif

namespace rubato {
namespace {

constexpr double kMiB = 1 << 20;

class CpuRank final : public RankModel {
 public:
  CpuRank(const ModelShape& shape, ModelWeights weights, std::int64_t cache_tokens)
      : shape_(shape), weights_(std::move(weights)), cache_(cache_shape(shape, cache_tokens)) {}

  Result<Model*> start(Communicator& communicator, const StepDeadlines&) override {
    return &model_.emplace(shape_, weights_, cache_, communicator);
  }

  std::string description() const override {
    const CacheShape& cache = cache_.shape();
    const auto bytes = static_cast<double>(cache.bytes_per_token() * cache.capacity);
    return concat("CPU; cache for ", cache.capacity, " tokens, up to ", bytes / kMiB, " MiB");
  }

 private:
  const ModelShape shape_;
  const ModelWeights weights_;
  CacheStore cache_;
  std::optional<CpuModel> model_;
};

#ifdef RUBATO_WITH_CUDA
class CudaRank final : public RankModel {
 public:
  CudaRank(std::unique_ptr<cuda::GpuRank> rank, bool graphs)
      : rank_(std::move(rank)), graphs_(graphs) {}

  Result<Model*> start(Communicator& communicator, const StepDeadlines& deadlines) override {
    return rank_->start(communicator, deadlines, graphs_);
  }
  std::string description() const override { return rank_->description(); }

 private:
  std::unique_ptr<cuda::GpuRank> rank_;
  const bool graphs_;
};

Result<std::unique_ptr<RankModel>> on_gpu(Result<std::unique_ptr<cuda::GpuRank>> rank,
                                          const Placement& placement) {
  if (!rank) return rank.error();
  return std::unique_ptr<RankModel>(
      std::make_unique<CudaRank>(*std::move(rank), placement.cuda_graphs));
}

cuda::GpuPlacement on_its_gpu(const Placement& placement) {
  return {.gpu = placement.gpu,
          .memory_bytes = placement.memory_bytes,
          .cache_tokens = placement.cache_tokens,
          .drift_bytes = placement.drift_bytes};
}
#endif

/// [n, k] weights that leave y about as large as x: a counter's bits, mixed.
RowReader random_rows(std::int64_t k, std::uint64_t seed) {
  return [k, seed](std::int64_t begin, std::int64_t end, float* out) {
    const float bound = std::sqrt(3.0f / static_cast<float>(k));
    for (std::int64_t i = begin * k; i < end * k; ++i) {
      std::uint64_t z = (seed << 40) + static_cast<std::uint64_t>(i) * 0x9E3779B97F4A7C15u;
      z = (z ^ (z >> 29)) * 0xBF58476D1CE4E5B9u;
      *out++ = (static_cast<float>(z >> 40) * (2.0f / (1 << 24)) - 1) * bound;
    }
  };
}

ModelWeights random_weights(const ModelShape& shape) {
  std::uint64_t seed = 0;
  const auto linear = [&](std::int64_t n, std::int64_t k, int groups = 1) {
    return Linear(n, k, shape.storage, groups, random_rows(k, ++seed));
  };
  const std::int64_t d = shape.d_model, heads = shape.local_head_width(),
                     mlp = shape.local_mlp_width();
  const std::vector<float> ones(d, 1.0f);
  ModelWeights weights{
      .embedding = Embedding(shape.local_vocabulary(), d, shape.storage, random_rows(d, ++seed)),
      .layers = {},
      .final_norm = ones,
      .head = linear(shape.local_vocabulary(), d)};
  for (int layer = 0; layer < shape.num_layers; ++layer) {
    weights.layers.push_back(
        {.attn_norm = ones,
         .ff_norm = ones,
         .qkv = linear(3 * heads, d),
         .attn_out = linear(d, heads, local_groups(heads * shape.tp_size, shape.tp_size)),
         .gate_up = linear(2 * mlp, d),
         .down = linear(d, mlp, local_groups(mlp * shape.tp_size, shape.tp_size))});
  }
  return weights;
}

std::unique_ptr<RankModel> on_cpu(const ModelShape& shape,
                                  ModelWeights weights,
                                  const Placement& placement) {
  return std::make_unique<CpuRank>(shape, std::move(weights), placement.cache_tokens);
}

}  // namespace

Result<Device> choose_device(const std::string& name) {
  if (name == "cpu") return Device::kCpu;
#ifdef RUBATO_WITH_CUDA
  if (cuda::num_gpus() > 0) return Device::kCuda;
  if (name == "cuda") {
    return Error{Code::kUnavailable,
                 "engine.device is \"cuda\", and there is no NVIDIA GPU that this process can use",
                 "engine.device"};
  }
#else
  if (name == "cuda") {
    return Error{Code::kUnavailable,
                 "engine.device is \"cuda\", and this program was built for processors only; "
                 "build it with launch/build --cuda",
                 "engine.device"};
  }
#endif
  return Device::kCpu;
}

RankGpu take_gpu([[maybe_unused]] Device device, [[maybe_unused]] int local_rank) {
#ifdef RUBATO_WITH_CUDA
  if (device == Device::kCuda) {
    const int gpu = gpu_of(local_rank, cuda::num_gpus());
    return {.index = gpu, .uuid = cuda::take_gpu(gpu)};
  }
#endif
  return {};
}

std::int64_t memory_share([[maybe_unused]] const RankGpu& gpu,
                          [[maybe_unused]] std::span<const std::string> uuids) {
#ifdef RUBATO_WITH_CUDA
  if (!gpu.uuid.empty()) return share_of(cuda::free_bytes(gpu.index), gpu.uuid, uuids);
#endif
  return std::numeric_limits<std::int64_t>::max();
}

std::int64_t fitting_cache_tokens([[maybe_unused]] const ModelShape& shape,
                                  [[maybe_unused]] const Placement& placement,
                                  std::int64_t most) {
#ifdef RUBATO_WITH_CUDA
  if (placement.device == Device::kCuda) {
    return tokens_that_fit(placement.memory_bytes, most, [&](std::int64_t tokens) {
      return cuda::needed_bytes(shape, tokens, placement.drift_bytes);
    });
  }
#endif
  return most;
}

Result<std::unique_ptr<RankModel>> load_rank_model(const ModelShape& shape,
                                                   const Checkpoint& checkpoint,
                                                   const Placement& placement) {
#ifdef RUBATO_WITH_CUDA
  if (placement.device == Device::kCuda) {
    return on_gpu(cuda::GpuRank::load(shape, checkpoint, on_its_gpu(placement)), placement);
  }
#endif
  return on_cpu(shape, load_weights(shape, checkpoint), placement);
}

Result<std::unique_ptr<RankModel>> random_rank_model(const ModelShape& shape,
                                                     const Placement& placement) {
#ifdef RUBATO_WITH_CUDA
  if (placement.device == Device::kCuda) {
    return on_gpu(cuda::GpuRank::random(shape, on_its_gpu(placement)), placement);
  }
#endif
  return on_cpu(shape, random_weights(shape), placement);
}

}  // namespace rubato
