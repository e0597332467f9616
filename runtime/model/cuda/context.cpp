#include "runtime/model/cuda/context.h"

#include "parallel/cuda/cuda_check.h"

namespace rubato::cuda {
namespace {

constexpr std::int64_t kListBytesPerRow = 192, kMoreListBytes = 4 << 20;

std::int64_t plan_bytes(std::int64_t cache_rows) {
  return kListBytesPerRow * cache_rows + kMoreListBytes;
}

void copy(void* to, const void* from, std::int64_t bytes, cudaMemcpyKind kind, Stream stream) {
  if (bytes == 0) return;
  RUBATO_CUDA(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), kind, stream));
}

}  // namespace

Context::Context(const ModelShape& its_shape,
                 DeviceWeights& its_weights,
                 DeviceCache& its_cache,
                 DeviceCommunicator& its_device,
                 Stream its_stream)
    : shape(its_shape),
      element(element_of(its_shape.storage)),
      weights(its_weights),
      cache(its_cache),
      device(its_device),
      stream(its_stream),
      gemm(its_stream, its_shape.batch_invariant ? RowBits::kFixed : RowBits::kByBatch),
      products(its_shape, gemm, its_stream),
      plan(static_cast<std::size_t>(plan_bytes(its_cache.shape().capacity))) {}

std::int64_t Context::scratch_bytes(const ModelShape& shape, std::int64_t cache_rows) {
  // With the map of rows of StepSums and the angles of Layers, which also depend on caches and
  // shape alone.
  const std::int64_t map = cache_rows * static_cast<std::int64_t>(sizeof(std::int32_t));
  const std::int64_t angles = std::int64_t{shape.max_positions} * shape.head_dim() *
                              static_cast<std::int64_t>(sizeof(float));
  return plan_bytes(cache_rows) + map + angles + Gemm::kWorkspaceBytes;
}

void Context::copy_to_device(void* to, const void* from, std::int64_t bytes) {
  copy(to, from, bytes, cudaMemcpyHostToDevice, stream);
}

void Context::copy_to_host(void* to, const void* from, std::int64_t bytes) {
  copy(to, from, bytes, cudaMemcpyDeviceToHost, stream);
}

}  // namespace rubato::cuda
