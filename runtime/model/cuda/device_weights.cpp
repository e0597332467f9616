#include "runtime/model/cuda/device_weights.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "parallel/cuda/cuda_check.h"
#include "runtime/checkpoint/shard.h"

namespace rubato::cuda {
namespace {

constexpr std::int64_t kStagedBytes = 32 << 20;  // of each of two buffers

class Loader {
 public:
  Loader(const ModelShape& shape, const Checkpoint& checkpoint, Stream stream)
      : shape_(shape), checkpoint_(checkpoint), stream_(stream) {}

  /// A norm's weights, which every rank has whole, rounded as the model's element type is.
  Memory norm(TensorKind kind, int layer = 0) {
    const TensorView tensor = checkpoint_.tensor(kind, layer);
    std::vector<float> values(tensor.cols);
    copy_slice(tensor, tensor.whole(), values.data());
    if (shape_.storage == Storage::kBFloat16) kernels().round(values.data(), tensor.cols);
    Memory memory;
    RUBATO_CUDA(cudaMemcpyAsync(memory.as<float>(tensor.cols),
                                values.data(),
                                values.size() * sizeof(float),
                                cudaMemcpyHostToDevice,
                                stream_));
    RUBATO_CUDA(cudaStreamSynchronize(stream_));
    return memory;
  }

  /// This rank's slices of some tensors of one size, below each other.
  Memory matrix(std::initializer_list<TensorKind> kinds, int layer = 0) {
    Memory memory;
    std::byte* to = nullptr;
    for (const TensorKind kind : kinds) {
      const TensorSlice slice =
          rank_slice(checkpoint_.config(), kind, shape_.tp_rank, shape_.tp_size);
      const std::int64_t size = slice.size() * element_size(shape_.storage);
      if (to == nullptr) to = memory.as<std::byte>(size * std::ssize(kinds));
      copy(checkpoint_.tensor(kind, layer), slice, to);
      to += size;
    }
    return memory;
  }

 private:
  void copy(const TensorView& tensor, const TensorSlice& slice, std::byte* to) {
    const std::int64_t row_bytes = slice.cols.size() * element_size(shape_.storage);
    const std::int64_t band = std::max<std::int64_t>(1, kStagedBytes / row_bytes);
    for (std::int64_t row = slice.rows.begin; row < slice.rows.end; row += band) {
      const std::int64_t count = std::min(band, slice.rows.end - row);
      // Read while the band before is copied; its buffer is then free for the band after.
      std::byte* from = staged_[turn_++ % 2].as<std::byte>(count * row_bytes);
      read(tensor, {{row, row + count}, slice.cols}, from);
      RUBATO_CUDA(cudaStreamSynchronize(stream_));
      RUBATO_CUDA(cudaMemcpyAsync(to, from, count * row_bytes, cudaMemcpyHostToDevice, stream_));
      to += count * row_bytes;
    }
  }

  void read(const TensorView& tensor, const TensorSlice& slice, std::byte* to) const {
    at::parallel_for(0, slice.rows.size(), 64, [&](std::int64_t begin, std::int64_t end) {
      const TensorSlice part{{slice.rows.begin + begin, slice.rows.begin + end}, slice.cols};
      std::byte* out = to + begin * slice.cols.size() * element_size(shape_.storage);
      if (shape_.storage == Storage::kFloat32) {
        copy_slice(tensor, part, reinterpret_cast<float*>(out));
      } else {
        copy_slice(tensor, part, reinterpret_cast<std::uint16_t*>(out));
      }
    });
  }

  const ModelShape& shape_;
  const Checkpoint& checkpoint_;
  const Stream stream_;
  Memory staged_[2] = {Memory(Memory::Place::kPinned), Memory(Memory::Place::kPinned)};
  int turn_ = 0;
};

/// [n, k] weights of y = x w^T that leave y about as large as x.
Memory random_matrix(
    const ModelShape& shape, std::int64_t n, std::int64_t k, std::uint64_t seed, Stream stream) {
  Memory memory;
  fill_random(memory.as<std::byte>(n * k * element_size(shape.storage)),
              n * k,
              seed,
              std::sqrt(3.0f / static_cast<float>(k)),
              element_of(shape.storage),
              stream);
  return memory;
}

Memory ones(std::int64_t count, Stream stream) {
  Memory memory;
  fill_constant(memory.as<float>(count), count, 1, stream);
  return memory;
}

}  // namespace

std::int64_t weight_bytes(const ModelShape& shape) {
  const std::int64_t d = shape.d_model;
  const std::int64_t layer = 4 * d * shape.local_head_width() + 3 * d * shape.local_mlp_width();
  const std::int64_t norms = (2 * shape.num_layers + 1) * d * 4;
  return (layer * shape.num_layers + 2 * d * shape.local_vocabulary()) *
             element_size(shape.storage) +
         norms;
}

DeviceWeights load_device_weights(const ModelShape& shape,
                                  const Checkpoint& checkpoint,
                                  Stream stream) {
  Loader load(shape, checkpoint, stream);
  DeviceWeights weights{load.matrix({TensorKind::kEmbedding}),
                        load.norm(TensorKind::kFinalNorm),
                        load.matrix({TensorKind::kHead}),
                        {}};
  for (int layer = 0; layer < shape.num_layers; ++layer) {
    weights.layers.push_back(
        {load.norm(TensorKind::kAttentionNorm, layer),
         load.norm(TensorKind::kMlpNorm, layer),
         load.matrix({TensorKind::kQuery, TensorKind::kKey, TensorKind::kValue}, layer),
         load.matrix({TensorKind::kAttentionOut}, layer),
         load.matrix({TensorKind::kGate, TensorKind::kUp}, layer),
         load.matrix({TensorKind::kDown}, layer)});
  }
  RUBATO_CUDA(cudaStreamSynchronize(stream));  // before the staging buffers go
  return weights;
}

DeviceWeights random_device_weights(const ModelShape& shape, std::uint64_t seed, Stream stream) {
  const auto matrix = [&](std::int64_t n, std::int64_t k) {
    return random_matrix(shape, n, k, seed += 0x632BE59BD9B4E019u, stream);
  };
  const std::int64_t d = shape.d_model, heads = shape.local_head_width(),
                     mlp = shape.local_mlp_width();
  DeviceWeights weights{matrix(shape.local_vocabulary(), d),
                        ones(d, stream),
                        matrix(shape.local_vocabulary(), d),
                        {}};
  for (int layer = 0; layer < shape.num_layers; ++layer) {
    weights.layers.push_back({ones(d, stream),
                              ones(d, stream),
                              matrix(3 * heads, d),
                              matrix(d, heads),
                              matrix(2 * mlp, d),
                              matrix(d, mlp)});
  }
  return weights;
}

}  // namespace rubato::cuda
