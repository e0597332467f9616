#pragma once

// Included only by kernels_isa.cpp (see simd.h).

#include <algorithm>
#include <cmath>

#include "runtime/model/kernels/simd.h"

namespace rubato {
namespace {

// Queries are taken one or two vectors at a time, each in a lane of its own: scores, softmax and
// output are sums in order of keys within a lane, so a query's result does not depend on who is in
// the other lanes. The keys and values are read as they lie.

/// Most queries of a panel.
constexpr int kQueryLanes = 2 * kLanes;

/// The parts of a head task's scratch; attention_scratch_size counts them.
struct HeadScratch {
  float* keys;     // [N, head_dim]
  float* values;   // [N, head_dim]
  float* weights;  // [N, lanes]: scores, then e^(score - most)
  float* queries;  // [head_dim, lanes]
  float* out;      // [head_dim, lanes]

  HeadScratch(const HeadTask& task)
      : keys(task.scratch),
        values(keys + std::int64_t{task.canvas_length} * task.head_dim),
        weights(values + std::int64_t{task.canvas_length} * task.head_dim),
        queries(weights + std::int64_t{task.canvas_length} * kQueryLanes),
        out(queries + std::int64_t{task.head_dim} * kQueryLanes) {}
};

template <class T>
T* cache_row(void* cache, const HeadTask& task, std::int64_t position) {
  return static_cast<T*>(cache) + position * task.cache_stride;
}

/// A row copied to or from a cache. Whole vectors, for a call a row would cost as much as the rows.
template <class T>
void widen_row(const T* from, int count, float* to) {
  int i = 0;
  for (; i + kLanes <= count; i += kLanes) store(to + i, load(from + i));
  for (; i < count; ++i) to[i] = widen(from[i]);
}

inline void narrow_row(const float* from, int count, float* to) {
  widen_row(from, count, to);
}
inline void narrow_row(const float* from, int count, std::uint16_t* to) {
  for (int i = 0; i < count; ++i) narrow(from[i], to[i]);
}

/// All rows of this head, one after the other.
template <class T>
void gather(void* cache, const HeadTask& task, float* to) {
  for (std::int64_t position = 0; position < task.canvas_length; ++position, to += task.head_dim)
    widen_row(cache_row<T>(cache, task, position), task.head_dim, to);
}

template <class T>
void write_rows(const HeadTask& task) {
  for (int row = 0; row < task.num_written; ++row) {
    const std::int64_t from = row * task.new_stride, to = task.written[row];
    narrow_row(task.q_new + from, task.head_dim, cache_row<T>(task.q_cache, task, to));
    narrow_row(task.k_new + from, task.head_dim, cache_row<T>(task.k_cache, task, to));
    narrow_row(task.v_new + from, task.head_dim, cache_row<T>(task.v_cache, task, to));
  }
}

/// Up to kQueryLanes queries, a lane each, in V vectors; lanes without a query compute on zeros.
template <int V>
struct QueryPanel {
  static constexpr int kWidth = V * kLanes;

  const HeadTask& task;
  const HeadScratch& scratch;
  int first;  // of task.queries
  int count;
  Vec inverse[V];  // 1 / the sum of the weights

  template <class T>
  void load_queries() {
    std::fill_n(scratch.queries, task.head_dim * kWidth, 0.0f);
    for (int lane = 0; lane < count; ++lane) {
      const T* query = cache_row<T>(task.q_cache, task, task.queries[first + lane]);
      for (int i = 0; i < task.head_dim; ++i) scratch.queries[i * kWidth + lane] = widen(query[i]);
    }
  }

  /// Scores of all keys, then their weights, not yet divided by the sum.
  void weigh_keys() {
    Vec most[V];
    for (Vec& v : most) v = splat(-std::numeric_limits<float>::infinity());
    for (int key = 0; key < task.canvas_length; key += kTileRows) {
      const int rows = std::min(kTileRows, task.canvas_length - key);
      float* scores = scratch.weights + std::int64_t{key} * kWidth;
      multiply_rows<V, kWidth>(rows,
                               scratch.keys + std::int64_t{key} * task.head_dim,
                               std::int64_t{task.head_dim},
                               kOne,
                               scratch.queries,
                               task.head_dim,
                               scores);
      for (int i = 0; i < rows; ++i) {
        for (int v = 0; v < V; ++v) {
          const Vec score = load(scores + i * kWidth + v * kLanes);
          most[v] = select(score > most[v], score, most[v]);
        }
      }
    }
    Vec total[V] = {};
    for (int key = 0; key < task.canvas_length; ++key) {
      for (int v = 0; v < V; ++v) {
        float* at = scratch.weights + std::int64_t{key} * kWidth + v * kLanes;
        const Vec weight = exp((load(at) - most[v]) * task.scale);
        store(at, weight);
        total[v] += weight;
      }
    }
    for (int v = 0; v < V; ++v) inverse[v] = 1.0f / total[v];
  }

  /// The queries' outputs.
  void sum_values() {
    for (int column = 0; column < task.head_dim; column += kTileRows) {
      multiply_rows<V, kWidth>(std::min(kTileRows, task.head_dim - column),
                               scratch.values + column,
                               kOne,
                               std::int64_t{task.head_dim},
                               scratch.weights,
                               task.canvas_length,
                               scratch.out + column * kWidth);
    }
    for (int i = 0; i < task.head_dim; ++i) {
      for (int v = 0; v < V; ++v) {
        float* at = scratch.out + i * kWidth + v * kLanes;
        store(at, load(at) * inverse[v]);
      }
    }
    for (int lane = 0; lane < count; ++lane) {
      float* out = task.out + (first + lane) * task.out_stride;
      for (int i = 0; i < task.head_dim; ++i) out[i] = scratch.out[i * kWidth + lane];
    }
  }

  /// Attention probabilities of kLanes keys from `key` on, a vector of keys for each lane of vector
  /// `v`; those past the last key are 0.
  void probabilities(int key, int v, Vec* by_lane) const {
    const int keys = std::min(kLanes, task.canvas_length - key);
    for (int i = 0; i < kLanes; ++i) {
      const std::int64_t at = std::int64_t{key + i} * kWidth + v * kLanes;
      by_lane[i] = i < keys ? load(scratch.weights + at) * inverse[v] : Vec{};
    }
    transpose(by_lane);
  }

  /// p[lane][keys] of the lanes that are tracked rows.
  void note_tracked(float* p) const {
    const int tracked = std::min(count, task.num_tracked - first);
    for (int v = 0; v * kLanes < tracked; ++v) {
      const int lanes = std::min(kLanes, tracked - v * kLanes);
      for (int key = 0; key < task.canvas_length; key += kLanes) {
        Vec by_lane[kLanes];
        probabilities(key, v, by_lane);
        for (int lane = 0; lane < lanes; ++lane) {
          const std::int64_t row = first + v * kLanes + lane;
          store_some(p + row * task.canvas_length + key, by_lane[lane], task.canvas_length - key);
        }
      }
    }
  }

  /// Adds the mass of the lanes that are window rows, in order of lanes.
  void add_mass() const {
    for (int v = 0; v * kLanes < count; ++v) {
      int lanes[kLanes], num_lanes = 0;
      for (int lane = 0; lane < std::min(kLanes, count - v * kLanes); ++lane) {
        const std::int32_t query = task.queries[first + v * kLanes + lane];
        if (std::binary_search(task.window, task.window + task.num_window, query))
          lanes[num_lanes++] = lane;
      }
      if (num_lanes == 0) continue;
      for (int key = 0; key < task.canvas_length; key += kLanes) {
        Vec by_lane[kLanes];
        probabilities(key, v, by_lane);
        const std::int64_t left = task.canvas_length - key;
        Vec mass = load_some(task.mass + key, left);
        for (int i = 0; i < num_lanes; ++i) mass += by_lane[lanes[i]];
        store_some(task.mass + key, mass, left);
      }
    }
  }
};

/// The tracked rows' attention as the caches stand, before this layer's rows are written.
template <class T, int V>
void attend_before(const HeadTask& task, const HeadScratch& scratch, int first, int count) {
  QueryPanel<V> panel{task, scratch, first, count, {}};
  panel.template load_queries<T>();
  panel.weigh_keys();
  panel.note_tracked(task.p_old);
}

template <class T, int V>
void attend_after(const HeadTask& task, const HeadScratch& scratch, int first, int count) {
  QueryPanel<V> panel{task, scratch, first, count, {}};
  panel.template load_queries<T>();
  panel.weigh_keys();
  panel.sum_values();
  if (first < task.num_tracked) panel.note_tracked(task.p_new);
  if (task.mass != nullptr) panel.add_mass();
}

template <class T>
void attend_head(const HeadTask& task) {
  const HeadScratch scratch(task);
  if (task.mass != nullptr) std::fill(task.mass, task.mass + task.canvas_length, 0.0f);
  if (task.num_tracked > 0) {
    gather<T>(task.k_cache, task, scratch.keys);
    for (int first = 0; first < task.num_tracked; first += kQueryLanes) {
      const int count = std::min(kQueryLanes, task.num_tracked - first);
      const auto attend = count > kLanes ? attend_before<T, 2> : attend_before<T, 1>;
      attend(task, scratch, first, count);
    }
    write_rows<T>(task);
    for (int row = 0; row < task.num_written; ++row) {
      const std::int64_t position = task.written[row];
      widen_row(cache_row<T>(task.k_cache, task, position),
                task.head_dim,
                scratch.keys + position * task.head_dim);
    }
  } else {
    write_rows<T>(task);
    gather<T>(task.k_cache, task, scratch.keys);
  }
  gather<T>(task.v_cache, task, scratch.values);
  for (int first = 0; first < task.num_queries; first += kQueryLanes) {
    const int count = std::min(kQueryLanes, task.num_queries - first);
    const auto attend = count > kLanes ? attend_after<T, 2> : attend_after<T, 1>;
    attend(task, scratch, first, count);
  }
}

}  // namespace
}  // namespace rubato
