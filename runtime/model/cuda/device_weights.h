#pragma once

#include <vector>

#include "runtime/checkpoint/checkpoint.h"
#include "runtime/model/cuda/device_memory.h"
#include "runtime/model/cuda/kernels.h"
#include "runtime/model/weights.h"

namespace rubato::cuda {

/// The weights of y = x w^T, [n, k]: of the model's element type or, where there are scales, float8
/// (runtime/model/float8.h).
struct DeviceMatrix {
  Memory values;
  Memory scales;  ///< [n] of float
  std::int64_t n = 0, k = 0;

  bool float8() const { return scales.size() > 0; }
};

/// A layer's weights on the GPU, row-major; shapes as in LayerWeights. Norms are float32.
struct DeviceLayer {
  Memory attn_norm, ff_norm;
  DeviceMatrix qkv, attn_out, gate_up, down;
};

/// One rank's weights on its GPU.
struct DeviceWeights {
  Memory embedding, final_norm, head;
  std::vector<DeviceLayer> layers;
};

inline Element element_of(Storage storage) {
  return storage == Storage::kFloat32 ? Element::kFloat32 : Element::kBFloat16;
}
inline std::int64_t element_size(Element element) {
  return element == Element::kFloat32 ? 4 : 2;
}
inline std::int64_t element_size(Storage storage) {
  return element_size(element_of(storage));
}

/// Bytes of a rank's weights.
std::int64_t weight_bytes(const ModelShape& shape);

/// Reads this rank's slices by several threads into pinned memory and from there to the GPU, a few
/// MiB at a time. The stream is idle on return.
DeviceWeights load_device_weights(const ModelShape& shape,
                                  const Checkpoint& checkpoint,
                                  Stream stream);

/// Random ones, for measurements.
DeviceWeights random_device_weights(const ModelShape& shape, std::uint64_t seed, Stream stream);

}  // namespace rubato::cuda
