#include "runtime/model/cuda/device_weights.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "parallel/cuda/cuda_check.h"
#include "runtime/checkpoint/shard.h"
#include "runtime/model/float8.h"

namespace rubato::cuda {
namespace {

constexpr std::int64_t kMostStagedBytes = 32 << 20;  // of each of two buffers

class Loader {
 public:
  Loader(const ModelShape& shape, const Checkpoint& checkpoint, Stream stream)
      : shape_(shape), checkpoint_(checkpoint), stream_(stream) {
    const std::int64_t widest = std::max<std::int64_t>(
        {shape.local_vocabulary(), shape.local_mlp_width(), shape.local_head_width()});
    staged_bytes_ =
        std::min(kMostStagedBytes, widest * shape.d_model * element_size(shape.storage));
    for (Memory& memory : staged_) memory.as<std::byte>(staged_bytes_);
  }

  /// A norm's weights, which every rank has whole, rounded as the model's element type is.
  Memory norm(TensorKind kind, int layer = 0) {
    const TensorView tensor = checkpoint_.tensor(kind, layer);
    std::vector<float> values(tensor.cols);
    copy_slice(tensor, tensor.whole(), values.data());
    if (shape_.storage == Storage::kBFloat16) kernels().round(values.data(), tensor.cols);
    Memory memory;
    upload(values, memory);
    return memory;
  }

  /// This rank's slices of some tensors of one size, below each other.
  Memory matrix(std::initializer_list<TensorKind> kinds, int layer = 0) {
    Memory memory;
    std::byte* to = nullptr;
    for (const TensorKind kind : kinds) {
      const TensorSlice slice = slice_of(kind);
      const std::int64_t size = slice.size() * element_size(shape_.storage);
      if (to == nullptr) to = memory.as<std::byte>(size * std::ssize(kinds));
      copy(checkpoint_.tensor(kind, layer), slice, element_size(shape_.storage), to);
      to += size;
    }
    return memory;
  }

  /// The same for a linear of a layer.
  DeviceMatrix linear(std::initializer_list<TensorKind> kinds, int layer) {
    const TensorSlice slice = slice_of(*kinds.begin());
    DeviceMatrix linear;
    linear.n = slice.rows.size() * std::ssize(kinds);
    linear.k = slice.cols.size();
    if (!shape_.float8) {
      linear.values = matrix(kinds, layer);
      return linear;
    }
    auto* to = linear.values.as<std::byte>(linear.n * linear.k);
    std::vector<float> scales;
    for (const TensorKind kind : kinds) {
      const TensorView tensor = checkpoint_.tensor(kind, layer);
      const TensorSlice rows = slice_of(kind);
      row_scales_ = float8_scales(tensor, rows.rows);
      first_scaled_row_ = rows.rows.begin;
      scales.insert(scales.end(), row_scales_.begin(), row_scales_.end());
      copy(tensor, rows, /*value_bytes=*/1, to);
      to += rows.size();
    }
    upload(scales, linear.scales);
    return linear;
  }

 private:
  TensorSlice slice_of(TensorKind kind) const {
    return rank_slice(checkpoint_.config(), kind, shape_.tp_rank, shape_.tp_size);
  }

  void upload(const std::vector<float>& values, Memory& memory) {
    RUBATO_CUDA(cudaMemcpyAsync(memory.as<float>(std::ssize(values)),
                                values.data(),
                                values.size() * sizeof(float),
                                cudaMemcpyHostToDevice,
                                stream_));
    RUBATO_CUDA(cudaStreamSynchronize(stream_));
  }

  void copy(const TensorView& tensor,
            const TensorSlice& slice,
            std::int64_t value_bytes,
            std::byte* to) {
    const std::int64_t row_bytes = slice.cols.size() * value_bytes;
    const std::int64_t band = std::max<std::int64_t>(1, staged_bytes_ / row_bytes);
    for (std::int64_t row = slice.rows.begin; row < slice.rows.end; row += band) {
      const std::int64_t count = std::min(band, slice.rows.end - row);
      // Read while the band before is copied; its buffer is then free for the band after.
      std::byte* from = staged_[turn_++ % 2].as<std::byte>(count * row_bytes);
      at::parallel_for(row, row + count, 64, [&](std::int64_t begin, std::int64_t end) {
        const TensorSlice part{{begin, end}, slice.cols};
        read(tensor, part, value_bytes, from + (begin - row) * row_bytes);
      });
      RUBATO_CUDA(cudaStreamSynchronize(stream_));
      RUBATO_CUDA(cudaMemcpyAsync(to, from, count * row_bytes, cudaMemcpyHostToDevice, stream_));
      to += count * row_bytes;
    }
  }

  void read(const TensorView& tensor,
            const TensorSlice& part,
            std::int64_t value_bytes,
            std::byte* out) const {
    switch (value_bytes) {
      case 1:
        return read_float8(tensor, part, reinterpret_cast<std::uint8_t*>(out));
      case 2:
        return copy_slice(tensor, part, reinterpret_cast<std::uint16_t*>(out));
      default:
        return copy_slice(tensor, part, reinterpret_cast<float*>(out));
    }
  }

  void read_float8(const TensorView& tensor, const TensorSlice& part, std::uint8_t* out) const {
    std::vector<float> values(part.size());
    copy_slice(tensor, part, values.data());
    for (std::int64_t i = 0; i < part.size(); ++i) {
      const std::int64_t row = part.rows.begin + i / part.cols.size();
      out[i] = to_float8(values[i], row_scales_[row - first_scaled_row_]);
    }
  }

  const ModelShape& shape_;
  const Checkpoint& checkpoint_;
  const Stream stream_;
  Memory staged_[2] = {Memory(Memory::Place::kPinned), Memory(Memory::Place::kPinned)};
  std::int64_t staged_bytes_ = 0;
  int turn_ = 0;
  std::vector<float> row_scales_;      // of the tensor that is being read as float8
  std::int64_t first_scaled_row_ = 0;  // the row of the first of them
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

/// A layer's.
DeviceMatrix random_linear(
    const ModelShape& shape, std::int64_t n, std::int64_t k, std::uint64_t seed, Stream stream) {
  DeviceMatrix linear;
  linear.n = n;
  linear.k = k;
  if (!shape.float8) {
    linear.values = random_matrix(shape, n, k, seed, stream);
    return linear;
  }
  constexpr float kLargestRandom = 16;
  fill_random_float8(linear.values.as<std::uint8_t>(n * k), n * k, seed, stream);
  const float scale =
      std::exp2(std::round(std::log2(2 / std::sqrt(static_cast<float>(k))))) / kLargestRandom;
  fill_constant(linear.scales.as<float>(n), n, scale, stream);
  return linear;
}

Memory ones(std::int64_t count, Stream stream) {
  Memory memory;
  fill_constant(memory.as<float>(count), count, 1, stream);
  return memory;
}

}  // namespace

std::int64_t weight_bytes(const ModelShape& shape) {
  const std::int64_t d = shape.d_model;
  const std::int64_t heads = shape.local_head_width(), mlp = shape.local_mlp_width();
  const std::int64_t weights = 4 * d * heads + 3 * d * mlp;
  const std::int64_t scales = 3 * heads + 2 * mlp + 2 * d;
  const std::int64_t layer =
      shape.float8 ? weights + 4 * scales : weights * element_size(shape.storage);
  const std::int64_t norms = (2 * shape.num_layers + 1) * d * 4;
  return layer * shape.num_layers + 2 * d * shape.local_vocabulary() * element_size(shape.storage) +
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
         load.linear({TensorKind::kQuery, TensorKind::kKey, TensorKind::kValue}, layer),
         load.linear({TensorKind::kAttentionOut}, layer),
         load.linear({TensorKind::kGate, TensorKind::kUp}, layer),
         load.linear({TensorKind::kDown}, layer)});
  }
  RUBATO_CUDA(cudaStreamSynchronize(stream));  // before the staging buffers go
  return weights;
}

DeviceWeights random_device_weights(const ModelShape& shape, std::uint64_t seed, Stream stream) {
  const auto matrix = [&](std::int64_t n, std::int64_t k) {
    return random_matrix(shape, n, k, seed += 0x632BE59BD9B4E019u, stream);
  };
  const auto linear = [&](std::int64_t n, std::int64_t k) {
    return random_linear(shape, n, k, seed += 0x632BE59BD9B4E019u, stream);
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
                              linear(3 * heads, d),
                              linear(d, heads),
                              linear(2 * mlp, d),
                              linear(d, mlp)});
  }
  return weights;
}

}  // namespace rubato::cuda
