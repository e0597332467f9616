#pragma once

#include "parallel/cuda/device_communicator.h"
#include "runtime/model/cuda/device_cache.h"
#include "runtime/model/cuda/device_plan.h"
#include "runtime/model/cuda/device_weights.h"
#include "runtime/model/cuda/gemm.h"
#include "runtime/model/cuda/products.h"

namespace rubato::cuda {

/// What the parts of one rank's network on its GPU work with and on. All work is enqueued on one
/// stream. Engine thread only.
struct Context {
  Context(const ModelShape& its_shape,
          DeviceWeights& its_weights,
          DeviceCache& its_cache,
          DeviceCommunicator& its_device,
          Stream its_stream);

  /// Bytes of so many elements of the model's type.
  std::int64_t bytes(std::int64_t elements) const { return elements * element_size(shape.storage); }
  /// The address `elements` elements after `data`.
  void* after(void* data, std::int64_t elements) const {
    return static_cast<std::byte*>(data) + bytes(elements);
  }

  void copy_to_device(void* to, const void* from, std::int64_t bytes);
  void copy_to_host(void* to, const void* from, std::int64_t bytes);

  /// Until the GPU has done all that was enqueued.
  void wait() { device.wait(stream); }

  const ModelShape shape;
  const Element element;
  DeviceWeights& weights;
  DeviceCache& cache;
  DeviceCommunicator& device;
  const Stream stream;
  Gemm gemm;
  Products products;
  DevicePlan plan;

  /// Bytes of the GPU's memory that this takes, for caches of so many rows.
  static std::int64_t scratch_bytes(const ModelShape& shape, std::int64_t cache_rows);
};

}  // namespace rubato::cuda
