#pragma once

#include <cstdint>

#include "runtime/base/error.h"
#include "runtime/checkpoint/model_config.h"
#include "runtime/checkpoint/tensor_names.h"
#include "runtime/checkpoint/tensor_view.h"

namespace rubato {

/// Whether `tp_size` ranks can share the model evenly: its heads, its MLP width, its embedding rows
/// and (for the cache of hidden states, split by column) its width. The error names the first size
/// that `tp_size` does not divide, with both numbers.
Status check_shardable(const ModelConfig& config, int tp_size);

/// The part of a weight that rank `tp_rank` of `tp_size` takes, in rows and columns of the whole
/// tensor:
/// - rows, for query, key and value (whole heads), gate and up: column-parallel, as tensors are
///   stored [out, in];
/// - columns, for attention_out and down: row-parallel;
/// - rows of the vocabulary, for embedding and head;
/// - all of a norm.
/// Requires a `tp_size` that passed `check_shardable` and 0 <= tp_rank < tp_size.
TensorSlice rank_slice(const ModelConfig& config, TensorKind kind, int tp_rank, int tp_size);

/// The number of values that each rank holds; norms are held by all.
std::int64_t parameters_per_rank(const ModelConfig& config, int tp_size);

/// Bytes of a rank's weights, held in `dtype`. With `float8` the layers' matrices take one byte per
/// value and four for the scale of each output channel, as on GPUs.
std::int64_t weight_bytes_per_rank(const ModelConfig& config,
                                   int tp_size,
                                   DType dtype,
                                   bool float8);

}  // namespace rubato
