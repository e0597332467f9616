#pragma once

// Included only by kernels_isa.cpp (see simd.h).

#include <algorithm>
#include <cmath>

#include "runtime/model/kernels/simd.h"

namespace rubato {
namespace {

inline std::int64_t padded(std::int64_t count) {
  return (count + kPanelWidth - 1) / kPanelWidth * kPanelWidth;
}

/// The parts of a head task's scratch; attention_scratch_size counts them.
struct HeadScratch {
  float* keys;     // panels [padded(N) / 32][head_dim][32]
  float* values;   // panels [padded(head_dim) / 32][N][32]
  float* scores;   // [kTileRows, padded(N)]
  float* queries;  // [kTileRows, head_dim]

  HeadScratch(const HeadTask& task)
      : keys(task.scratch),
        values(keys + padded(task.canvas_length) * task.head_dim),
        scores(values + padded(task.head_dim) * task.canvas_length),
        queries(scores + kTileRows * padded(task.canvas_length)) {}
};

template <class T>
T* cache_row(void* cache, const HeadTask& task, std::int64_t position) {
  return static_cast<T*>(cache) + position * task.cache_stride;
}

template <class T>
void pack_key(const HeadTask& task, std::int64_t position, float* panels) {
  const T* key = cache_row<T>(task.k_cache, task, position);
  float* column =
      panels + position / kPanelWidth * task.head_dim * kPanelWidth + position % kPanelWidth;
  for (int i = 0; i < task.head_dim; ++i) column[i * kPanelWidth] = widen(key[i]);
}

/// 32 keys a panel, transposed in blocks so that both sides stay in cache lines.
template <class T>
void pack_keys(const HeadTask& task, float* panels) {
  const std::int64_t end = padded(task.canvas_length);
  std::fill(panels + (end - kPanelWidth) * task.head_dim, panels + end * task.head_dim, 0.0f);
  for (std::int64_t position = 0; position < task.canvas_length; ++position)
    pack_key<T>(task, position, panels);
}

template <class T>
void pack_values(const HeadTask& task, float* panels) {
  for (std::int64_t begin = 0; begin < task.head_dim;
       begin += kPanelWidth, panels += task.canvas_length * kPanelWidth) {
    const int count = static_cast<int>(std::min<std::int64_t>(kPanelWidth, task.head_dim - begin));
    for (std::int64_t position = 0; position < task.canvas_length; ++position) {
      const T* value = cache_row<T>(task.v_cache, task, position) + begin;
      float* to = panels + position * kPanelWidth;
      for (int i = 0; i < count; ++i) to[i] = widen(value[i]);
      for (int i = count; i < kPanelWidth; ++i) to[i] = 0;
    }
  }
}

/// scores := softmax(scale * scores) over the first `count`; the padding becomes 0.
inline void softmax(float* scores, int count, float scale) {
  const auto end = static_cast<int>(padded(count));
  std::fill(scores + count, scores + end, -std::numeric_limits<float>::infinity());
  Vec most = load(scores);
  for (int i = kLanes; i < end; i += kLanes) {
    const Vec v = load(scores + i);
    most = select(v > most, v, most);
  }
  const float shift = max(most);
  Vec total = {};
  for (int i = 0; i < end; i += kLanes) {
    const Vec e = exp((load(scores + i) - shift) * scale);
    store(scores + i, e);
    total += e;
  }
  const float inverse = 1.0f / sum(total);
  for (int i = 0; i < end; i += kLanes) store(scores + i, load(scores + i) * inverse);
}

/// Attention probabilities of up to kTileRows cached queries, into scratch.scores.
template <class T>
void probabilities(const HeadTask& task,
                   const HeadScratch& scratch,
                   const std::int32_t* queries,
                   int count) {
  const std::int64_t stride = padded(task.canvas_length);
  for (int m = 0; m < count; ++m) {
    const T* query = cache_row<T>(task.q_cache, task, queries[m]);
    for (int i = 0; i < task.head_dim; ++i)
      scratch.queries[m * task.head_dim + i] = widen(query[i]);
  }
  float tile[kTileRows * kPanelWidth];
  for (std::int64_t begin = 0; begin < stride; begin += kPanelWidth) {
    multiply_rows(count,
                  scratch.queries,
                  task.head_dim,
                  scratch.keys + begin * task.head_dim,
                  task.head_dim,
                  tile);
    for (int m = 0; m < count; ++m) {
      std::memcpy(
          scratch.scores + m * stride + begin, tile + m * kPanelWidth, kPanelWidth * sizeof(float));
    }
  }
  for (int m = 0; m < count; ++m)
    softmax(scratch.scores + m * stride, task.canvas_length, task.scale);
}

template <class T>
void write_rows(const HeadTask& task) {
  for (int row = 0; row < task.num_written; ++row) {
    T* q = cache_row<T>(task.q_cache, task, task.written[row]);
    T* k = cache_row<T>(task.k_cache, task, task.written[row]);
    T* v = cache_row<T>(task.v_cache, task, task.written[row]);
    for (int i = 0; i < task.head_dim; ++i) {
      narrow(task.q_new[row * task.new_stride + i], q[i]);
      narrow(task.k_new[row * task.new_stride + i], k[i]);
      narrow(task.v_new[row * task.new_stride + i], v[i]);
    }
  }
}

/// The tracked rows' attention as the caches stand, before this layer's rows are written.
template <class T>
void attention_before(const HeadTask& task, const HeadScratch& scratch) {
  for (int begin = 0; begin < task.num_tracked; begin += kTileRows) {
    const int count = std::min(kTileRows, task.num_tracked - begin);
    probabilities<T>(task, scratch, task.queries + begin, count);
    for (int m = 0; m < count; ++m) {
      std::memcpy(task.p_old + static_cast<std::int64_t>(begin + m) * task.canvas_length,
                  scratch.scores + m * padded(task.canvas_length),
                  task.canvas_length * sizeof(float));
    }
  }
}

inline void note_attention(const HeadTask& task, int query, const float* p) {
  if (query < task.num_tracked) {
    std::memcpy(task.p_new + static_cast<std::int64_t>(query) * task.canvas_length,
                p,
                task.canvas_length * sizeof(float));
  }
  if (task.mass != nullptr &&
      std::binary_search(task.window, task.window + task.num_window, task.queries[query])) {
    for (int i = 0; i < task.canvas_length; ++i) task.mass[i] += p[i];
  }
}

inline void weigh_values(const HeadTask& task, const HeadScratch& scratch, int begin, int count) {
  float tile[kTileRows * kPanelWidth];
  for (std::int64_t column = 0; column < task.head_dim; column += kPanelWidth) {
    multiply_rows(count,
                  scratch.scores,
                  padded(task.canvas_length),
                  scratch.values + column * task.canvas_length,
                  task.canvas_length,
                  tile);
    const std::int64_t width = std::min<std::int64_t>(kPanelWidth, task.head_dim - column);
    for (int m = 0; m < count; ++m) {
      std::memcpy(task.out + (begin + m) * task.out_stride + column,
                  tile + m * kPanelWidth,
                  width * sizeof(float));
    }
  }
}

template <class T>
void attend_head(const HeadTask& task) {
  const HeadScratch scratch(task);
  if (task.mass != nullptr) std::fill(task.mass, task.mass + task.canvas_length, 0.0f);
  if (task.num_tracked > 0) {
    pack_keys<T>(task, scratch.keys);
    attention_before<T>(task, scratch);
    write_rows<T>(task);
    for (int row = 0; row < task.num_written; ++row)
      pack_key<T>(task, task.written[row], scratch.keys);
  } else {
    write_rows<T>(task);
    pack_keys<T>(task, scratch.keys);
  }
  pack_values<T>(task, scratch.values);
  for (int begin = 0; begin < task.num_queries; begin += kTileRows) {
    const int count = std::min(kTileRows, task.num_queries - begin);
    probabilities<T>(task, scratch, task.queries + begin, count);
    for (int m = 0; m < count; ++m)
      note_attention(task, begin + m, scratch.scores + m * padded(task.canvas_length));
    weigh_values(task, scratch, begin, count);
  }
}

}  // namespace
}  // namespace rubato
