#include "runtime/checkpoint/shard.h"

#include <array>
#include <string_view>

#include "runtime/base/check.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

IndexRange part_of(std::int64_t size, int rank, int ranks) {
  const std::int64_t each = size / ranks;
  return {rank * each, (rank + 1) * each};
}

}  // namespace

Status check_shardable(const ModelConfig& config, int tp_size) {
  if (tp_size < 1) {
    return Error{Code::kInvalidArgument,
                 concat("tensor-parallel size is ", tp_size, "; at least 1 is expected"),
                 "tp"};
  }
  struct Size {
    std::string_view key;
    int value;
  };
  const std::array sizes = {Size{"n_heads", config.n_heads},
                            Size{"mlp_hidden_size", config.mlp_hidden_size},
                            Size{"embedding_size", config.embedding_size},
                            Size{"d_model", config.d_model}};
  for (const Size& size : sizes) {
    if (size.value % tp_size != 0) {
      return Error{Code::kInvalidArgument,
                   concat(size.key,
                          " ",
                          size.value,
                          " does not divide evenly over ",
                          tp_size,
                          " tensor-parallel ranks"),
                   std::string(size.key)};
    }
  }
  return {};
}

TensorSlice rank_slice(const ModelConfig& config, TensorKind kind, int tp_rank, int tp_size) {
  RUBATO_CHECK(0 <= tp_rank && tp_rank < tp_size, "rank ", tp_rank, " of ", tp_size);
  const auto shape = tensor_shape(config, kind);
  const std::int64_t rows = shape.size() == 2 ? shape[0] : 1;
  const std::int64_t cols = shape.back();
  switch (kind) {
    case TensorKind::kEmbedding:
    case TensorKind::kHead:
    case TensorKind::kQuery:
    case TensorKind::kKey:
    case TensorKind::kValue:
    case TensorKind::kGate:
    case TensorKind::kUp:
      return {part_of(rows, tp_rank, tp_size), {0, cols}};
    case TensorKind::kAttentionOut:
    case TensorKind::kDown:
      return {{0, rows}, part_of(cols, tp_rank, tp_size)};
    case TensorKind::kFinalNorm:
    case TensorKind::kAttentionNorm:
    case TensorKind::kMlpNorm:
      return {{0, rows}, {0, cols}};
  }
  return {};
}

std::int64_t parameters_per_rank(const ModelConfig& config, int tp_size) {
  std::int64_t sum = 0;
  for (const TensorId id : all_tensors(config)) {
    sum += rank_slice(config, id.kind, 0, tp_size).size();
  }
  return sum;
}

std::int64_t weight_bytes_per_rank(const ModelConfig& config,
                                   int tp_size,
                                   DType dtype,
                                   bool float8) {
  constexpr std::int64_t kScaleBytes = 4;
  std::int64_t sum = 0;
  for (const TensorId id : all_tensors(config)) {
    const TensorSlice slice = rank_slice(config, id.kind, 0, tp_size);
    sum += float8 && is_layer_matrix(id.kind) ? slice.size() + slice.rows.size() * kScaleBytes
                                              : slice.size() * byte_size(dtype);
  }
  return sum;
}

}  // namespace rubato
