#pragma once

#include <cstdint>

// The GPU's arithmetic behind plain functions: device pointers and a stream, no torch. All matrices
// are row-major; T is float or bfloat16, as `Storage` says. Each call only enqueues. As on a
// processor, with bfloat16 every operation's output is rounded to a bfloat16 value and sums are
// float32.

struct CUstream_st;

namespace rubato::cuda {

using Stream = CUstream_st*;

/// As rubato::Storage, which the headers of the CPU's kernels define.
enum class Element : std::uint8_t { kFloat32, kBFloat16 };

/// One layer of one of the caches: [capacity, width], of T.
struct CacheLayer {
  void* data = nullptr;
  std::int64_t width = 0;
};

struct ResidualNorm {
  void* hidden = nullptr;         ///< [rows, width] of T; becomes hidden + delta
  const float* delta = nullptr;   ///< [rows, width]; null: 0
  const float* weight = nullptr;  ///< [width]
  void* normed = nullptr;         ///< [rows, width] of T
  CacheLayer x;                   ///< gets hidden's columns from first_column on; data null: none
  const std::int32_t* cache_rows = nullptr;  ///< [rows] in x; -1: none
  int first_column = 0;
  int rows = 0, width = 0;
  float eps = 0;
};
/// hidden += delta; X[cache_rows] := hidden; normed := hidden / rms(hidden) * weight.
void residual_norm(const ResidualNorm& task, Element element, Stream stream);

struct GatherSums {
  const void* hidden = nullptr;  ///< [.., width] of T
  const float* delta = nullptr;  ///< [.., width]
  void* out = nullptr;           ///< [.., width] of T
  // [count]; null: i itself; -1: nothing is done for i
  const std::int32_t* hidden_rows = nullptr;
  const std::int32_t* delta_rows = nullptr;
  const std::int32_t* out_rows = nullptr;
  int count = 0, width = 0;
};
/// out[out_rows[i]] := hidden[hidden_rows[i]] + delta[delta_rows[i]].
void gather_sums(const GatherSums& task, Element element, Stream stream);

/// out[row] := embedding[tokens[row] - first_id], or 0 where this rank does not hold it.
void embed(const void* embedding,
           const std::int32_t* tokens,
           int first_id,
           int num_ids,
           int rows,
           int width,
           float* out,
           Element element,
           Stream stream);

/// out[row, j] := silu(gate_up[row, j]) * gate_up[row, width + j].
void swiglu(const void* gate_up, int rows, int width, void* out, Element element, Stream stream);

/// out[row, part * width + j] := parts[part, row, j], of T.
void interleave(const void* parts,
                int num_parts,
                int rows,
                int width,
                void* out,
                Element element,
                Stream stream);

struct RopeScatter {
  const void* qkv = nullptr;                 ///< [rows, 3 * heads * head_dim] of T
  const std::int32_t* positions = nullptr;   ///< [rows]
  const std::int32_t* cache_rows = nullptr;  ///< [rows]; -1: not written
  const float* cos = nullptr;                ///< [positions, head_dim / 2]
  const float* sin = nullptr;
  CacheLayer q, k, v;
  void* old_q = nullptr;  ///< [rows, heads * head_dim]: what Q and K held; null: not wanted
  void* old_k = nullptr;
  int rows = 0, heads = 0, head_dim = 0;
};
/// Rotates q and k (half-split) and writes the rows into the caches.
void rope_scatter(const RopeScatter& task, Element element, Stream stream);

/// Up to kTileRows neighbouring queries of one sequence.
struct QueryTile {
  std::int32_t first_query = 0;  ///< of the pass
  std::int32_t num_queries = 0;  ///< 0: none, to fill a bucket
  std::int32_t slot_begin = 0;   ///< the sequence's first cache row
  std::int32_t num_keys = 0;
  std::int32_t num_splits = 1;
  std::int32_t split_keys = 0;     ///< keys of a split
  std::int32_t partial_begin = 0;  ///< in Attention::split_out, if there are several splits
};

inline constexpr int kTileQueries = 64;
inline constexpr int kSplitKeys = 128;

struct Attention {
  CacheLayer q, k, v;
  const std::int32_t* query_rows = nullptr;  ///< [queries] cache rows of Q
  const QueryTile* tiles = nullptr;          ///< [num_tiles], on the device
  int num_tiles = 0, most_splits = 1;
  int heads = 0, head_dim = 0;
  void* out = nullptr;   ///< [queries, heads * head_dim] of T
  float* lse = nullptr;  ///< [queries, heads]: log of the sum of exp(scale q.k)
  // What each split found, [tiles: splits, queries, heads], of which a tile's begin at its
  // partial_begin; 8-byte aligned.
  float* split_out = nullptr;    ///< [.., head_dim]
  float* split_stats = nullptr;  ///< [.., 2]
};
/// softmax(q K^T / sqrt(head_dim)) V over all keys of each query's sequence. Where a tile has
/// several splits, a second kernel puts together what they found.
void attend(const Attention& task, Element element, Stream stream);

/// map[cache_rows[row]] := row, or -1 with `clear`.
void mark_rows(const std::int32_t* cache_rows, int rows, bool clear, std::int32_t* map, Stream s);

/// A row whose attention is summed.
struct SumRow {
  std::int32_t cache_row = 0;  ///< of its query
  std::int32_t lse_row = 0;    ///< of AttentionSums::lse, in all layers but the last
  std::int32_t last_lse_row = 0;
};

/// What a sequence wants of a pass's attention.
struct SumJob {
  std::int32_t slot_begin = 0, num_keys = 0;
  std::int32_t first_layer = 0;                   ///< layers below are left alone
  std::int32_t window_begin = 0, num_window = 0;  ///< SumRows whose mass is summed
  std::int32_t tracked_begin = 0,
               num_tracked = 0;   ///< SumRows whose drift is; lse_row: their pass row
  std::int32_t tracked_lse = 0;   ///< the first of them in old_lse
  std::int32_t rows_measure = 0;  ///< whether drift is DriftMeasure::kRows
  std::int32_t reserved = 0;
  std::int64_t mass = 0;        ///< where a layer's [num_keys] begin, plus layer * num_keys
  std::int64_t drift = 0;       ///< likewise, plus layer * drift_size
  std::int64_t drift_size = 0;  ///< 3 * num_tracked * num_keys, or `heads`
};

/// The sums of `num_layers` layers at once. Layer l's Q and K caches begin layer_stride elements
/// after layer l - 1's.
struct SumTask {
  const void* q = nullptr;  ///< layer 0 of the caches
  const void* k = nullptr;
  std::int64_t width = 0, layer_stride = 0;
  const void* old_q = nullptr;  ///< [kept layers, pass rows, width]; of layer `first_layer` first
  const void* old_k = nullptr;
  std::int64_t old_stride = 0;           ///< elements of a kept layer
  const std::int32_t* row_of = nullptr;  ///< [capacity]: mark_rows' map
  const float* lse = nullptr;            ///< [layers, lse_stride / heads, heads]
  std::int64_t lse_stride = 0;
  float* old_lse = nullptr;  ///< [layers, num_tracked_all, heads]
  int num_tracked_all = 0;
  const SumJob* jobs = nullptr;  ///< on the device
  const SumRow* rows = nullptr;
  float* sums = nullptr;
  int num_jobs = 0, most_keys = 0, most_tracked = 0;
  int first_layer = 0, num_layers = 0, model_layers = 0;
  int heads = 0, head_dim = 0;
  bool any_mass = false, any_heads = false, any_rows = false;
};
void sum_attention(const SumTask& task, Element element, Stream stream);

struct SimilarityTask {
  const SumJob* jobs = nullptr;
  const float* sums = nullptr;
  int num_jobs = 0, num_layers = 0;
  int num_heads = 0;             ///< of all ranks
  double* similarity = nullptr;  ///< [jobs, layers]; of jobs that track nothing: 0
};
void similarity(const SimilarityTask& task, Stream stream);

/// A change of one logit.
struct LogitChange {
  std::int32_t row = 0, id = 0;  ///< id: within the slice
  float bias = 0;
  std::int32_t never = 0;  ///< set to "never", whatever it was
};
/// Rounds logits to bfloat16 values where T is, then applies the changes. For logits that are
/// changed, or read by others than describe_vocabulary.
void finish_logits(float* logits,
                   std::int64_t count,
                   int width,
                   const LogitChange* changes,
                   int num_changes,
                   Element element,
                   Stream stream);

/// How a row of logits is looked at.
struct RowQuestion {
  double temperature = 0;  ///< 0: no noise
  std::uint64_t seed = 0;
  std::int32_t step = 0, position = 0;
};
struct Vocabulary {
  const float* logits = nullptr;           ///< [rows, width]
  const RowQuestion* questions = nullptr;  ///< [rows], on the device
  int rows = 0, width = 0, groups = 1, first_id = 0, mask_id = 0;
  double* scratch = nullptr;  ///< [vocabulary_scratch_size]
  double* numbers = nullptr;  ///< [rows, 6 + 2 * groups]: as VocabularyStatistics describes a row
};
std::int64_t vocabulary_scratch_size(int rows, int groups);
/// Takes the logits as if they had been rounded to T, which float leaves as they are.
void describe_vocabulary(const Vocabulary& task, Element element, Stream stream);

/// A row whose highest logits are wanted.
struct TopRow {
  std::int32_t row = 0;    ///< of the logits
  std::int32_t count = 0;  ///< how many
  std::int64_t begin = 0;  ///< where its pairs begin in TopLogits::pairs
};
struct TopLogits {
  const float* logits = nullptr;  ///< [.., width]
  const TopRow* rows = nullptr;   ///< [num_rows], on the device
  int num_rows = 0, most = 0;     ///< most: the greatest of their counts
  int width = 0, first_id = 0;
  double* scratch = nullptr;  ///< [top_scratch_size]
  double* pairs = nullptr;    ///< (id, logit), as append_top puts them
};
std::int64_t top_scratch_size(int num_rows, int most, int width);
/// Each row's highest logits, best first, ties by lowest id; ids of -1 fill up what a row is short.
void find_top_logits(const TopLogits& task, Stream stream);

/// y[rows, n] := x[rows, k] w[n, k]^T, where w is float8 (runtime/model/float8.h).
struct Float8Product {
  const void* x = nullptr;          ///< [rows, k] of bfloat16, 16-byte aligned
  const std::uint8_t* w = nullptr;  ///< [n, k], likewise
  const float* scales = nullptr;    ///< [n]
  void* y = nullptr;                ///< [rows, n] of `result`
  float* parts = nullptr;           ///< [splits, rows, n], if there are several splits
  int rows = 0, n = 0, k = 0;
  int splits = 1;  ///< parts of k that are summed apart
  Element result = Element::kBFloat16;
};
inline constexpr int kMostFloat8Rows = 64;        ///< of a Float8Product
inline constexpr int kFloat8Chunk = 64;           ///< divides its k
inline constexpr int kFloat8BlockChannels = 128;  ///< of its n, that a block of the kernel takes
/// The order of a row's sum depends on n, k and the splits, not on the other rows.
void multiply_float8(const Float8Product& task, Stream stream);

/// out[n, k] := w of T, exactly.
void expand_float8(const std::uint8_t* w,
                   const float* scales,
                   std::int64_t n,
                   std::int64_t k,
                   void* out,
                   Element element,
                   Stream stream);

/// Random float8 weights for measurements: magnitudes up to 16, all of their bits alike.
void fill_random_float8(std::uint8_t* out, std::int64_t count, std::uint64_t seed, Stream stream);

/// Random weights for measurements: uniform in +-`bound`, from a counter; of T, or float.
void fill_random(
    void* out, std::int64_t count, std::uint64_t seed, float bound, Element e, Stream s);
void fill_constant(float* out, std::int64_t count, float value, Stream stream);

}  // namespace rubato::cuda
