#include "tests/runtime/model/cuda/make_cuda_model.h"

#include "parallel/cuda/cuda_check.h"
#include "parallel/cuda/nccl_communicator.h"
#include "runtime/model/cache_shape.h"

namespace rubato::cuda::testing {
namespace {

int current_device() {
  int device = 0;
  RUBATO_CUDA(cudaGetDevice(&device));
  return device;
}

}  // namespace

Rank::Rank(const ModelShape& shape,
           const Checkpoint& checkpoint,
           Communicator& communicator,
           std::int64_t cache_tokens,
           bool graphs,
           int head_rows,
           std::int64_t drift_bytes)
    : device(make_device_communicator(communicator, current_device(), StepDeadlines{})),
      weights(load_device_weights(shape, checkpoint, stream.get())),
      cache(cache_shape(shape, cache_tokens)),
      model(shape,
            weights,
            cache,
            communicator,
            *device,
            stream.get(),
            {cache_tokens, drift_bytes, head_rows},
            graphs) {}

rubato::testing::MakeModel make_cuda_model() {
  return [](const ModelShape& shape,
            const Checkpoint& checkpoint,
            Communicator& communicator,
            std::int64_t cache_tokens) -> std::shared_ptr<Model> {
    auto rank = std::make_shared<Rank>(shape, checkpoint, communicator, cache_tokens);
    return {rank, &rank->model};
  };
}

}  // namespace rubato::cuda::testing
