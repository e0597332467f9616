#pragma once

#include <cstdint>
#include <vector>

namespace rubato {

/// How stored numbers (weights, caches) are kept. Arithmetic is float32 either way; with bfloat16
/// each operation's output is rounded to a bfloat16 value, held as float32.
enum class Storage : std::uint8_t { kFloat32, kBFloat16 };

/// One (sequence, head) of an attention layer. Arrays are row-major; strides are in elements.
struct HeadTask {
  // This head's columns of the sequence's slot, at its first row; element type `storage`.
  void* q_cache = nullptr;
  void* k_cache = nullptr;
  void* v_cache = nullptr;
  std::int64_t cache_stride = 0;
  Storage storage = Storage::kFloat32;
  int canvas_length = 0;
  int head_dim = 0;
  float scale = 0;  ///< 1 / sqrt(head_dim)

  // Rows to write into the caches before attending. num_written may be 0.
  const float* q_new = nullptr;  ///< [num_written, head_dim]
  const float* k_new = nullptr;
  const float* v_new = nullptr;
  std::int64_t new_stride = 0;
  const std::int32_t* written = nullptr;  ///< [num_written] canvas positions
  int num_written = 0;

  // Positions that attend to all canvas_length keys, their Q taken from the cache.
  const std::int32_t* queries = nullptr;  ///< [num_queries] canvas positions
  int num_queries = 0;
  float* out = nullptr;  ///< [num_queries, head_dim]
  std::int64_t out_stride = 0;

  // Attention mass per key, summed over the queries that are in the window. Null: not needed.
  const std::int32_t* window = nullptr;  ///< [num_window] canvas positions, ascending
  int num_window = 0;
  float* mass = nullptr;  ///< [canvas_length]

  // Attention of the first num_tracked queries before and after the write. 0: not needed.
  int num_tracked = 0;
  float* p_old = nullptr;  ///< [num_tracked, canvas_length]
  float* p_new = nullptr;  ///< [num_tracked, canvas_length]

  float* scratch = nullptr;  ///< `attention_scratch_size` floats, used by this task only
};

/// Weights W [n, k] of y = x W^T, packed in panels of 32 output columns: [ceil(n / 32)][k][32], the
/// last panel padded.
struct PackedWeights {
  const void* panels = nullptr;
  Storage storage = Storage::kFloat32;
  std::int64_t n = 0;
  std::int64_t k = 0;
  /// Equal parts of k that are summed separately and combined in a balanced binary tree; a power of
  /// two.
  int groups = 1;
};

/// Statistics of one row's logits over one of a vocabulary shard's groups of ids.
struct GroupStatistics {
  float max = 0;
  double sum = 0;  ///< of exp(z - max)
};

/// The CPU's arithmetic, compiled once per instruction set. Each output row depends only on its own
/// inputs, not on how many rows are computed with it or on which thread.
struct Kernels {
  const char* name;

  /// y[rows, panels' columns] of panels [panel_begin, panel_end), every element an ascending sum of
  /// fused multiply-adds within a group.
  void (*gemm)(const float* x,
               std::int64_t rows,
               std::int64_t ldx,
               const PackedWeights& w,
               float* y,
               std::int64_t ldy,
               std::int64_t panel_begin,
               std::int64_t panel_end);

  void (*attend)(const HeadTask& task);

  /// out = x * rsqrt(mean x² + eps) (rounded) * weight (rounded)
  void (*rms_norm)(const float* x,
                   const float* weight,
                   float* out,
                   std::int64_t rows,
                   std::int64_t width,
                   float eps,
                   Storage rounding);

  /// Half-split rotation of `heads` heads of head_dim at row stride `stride`; cos, sin: [positions,
  /// head_dim / 2].
  void (*rope)(float* rows,
               const std::int32_t* positions,
               std::int64_t num_rows,
               std::int64_t stride,
               int heads,
               int head_dim,
               const float* cos,
               const float* sin,
               Storage rounding);

  /// out[row, j] = silu(gate_up[row, j]) * gate_up[row, width + j]
  void (*swiglu)(
      const float* gate_up, float* out, std::int64_t rows, std::int64_t width, Storage rounding);

  /// x += round(delta), rounded
  void (*add)(float* x, const float* delta, std::int64_t count, Storage rounding);

  /// Statistics of count logits.
  GroupStatistics (*group_statistics)(const float* logits, std::int64_t count);

  /// The `heads` drift sums of one layer: dot, old², new² over heads [num_heads, count] -> [count]
  /// each, in a balanced binary tree over heads.
  void (*drift_sums)(const float* p_old,
                     const float* p_new,
                     int num_heads,
                     std::int64_t count,
                     float* dot,
                     float* old_squared,
                     float* new_squared);

  /// out[i] := the tree sum over parts of parts[p, i], i < count.
  void (*tree_sum)(const float* parts, int num_parts, std::int64_t count, float* out);

  void (*round)(float* x, std::int64_t count);  ///< to bfloat16 values, to nearest even
};

/// Columns of a panel.
inline constexpr std::int64_t kPanelWidth = 32;

std::int64_t attention_scratch_size(int canvas_length, int head_dim);

/// The kernels of every instruction set this CPU has, the best first. For tests; see `kernels`.
std::vector<const Kernels*> available_kernels();

/// The kernels of the best instruction set this CPU has. Any thread.
const Kernels& kernels();

}  // namespace rubato
