#include "runtime/model/attention.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "cache/drift.h"

namespace rubato {

/// The data that the head tasks of a layer share.
struct Attention::Work {
  int layer;
  const RowPass& pass;
  const float* qkv;
  float* out;
};

void Attention::run(
    int layer, const RowPass& pass, const float* qkv, float* out, AttentionSums& sums) {
  const int heads = shape_.local_heads();
  std::int64_t scratch_size = 0, sums_size = 0;
  sums_begin_.clear();
  for (const PassSequence& packed : pass.sequences) {
    const Position length = packed.sequence->canvas_length();
    scratch_size = std::max(scratch_size, attention_scratch_size(length, shape_.head_dim()));
    sums_begin_.push_back(sums_size);
    sums_size += heads * head_sums_size(packed);
  }
  float* scratch = scratch_.floats(scratch_size * at::get_num_threads());
  float* head_sums = head_sums_.floats(sums_size);
  const Work work{layer, pass, qkv, out};
  at::parallel_for(
      0, std::ssize(pass.sequences) * heads, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const auto index = i / heads;
          HeadTask task = head_task(work,
                                    pass.sequences[index],
                                    static_cast<int>(i % heads),
                                    head_sums + sums_begin_[index]);
          task.scratch = scratch + at::get_thread_num() * scratch_size;
          kernels().attend(task);
        }
      });
  for (std::size_t index = 0; index < pass.sequences.size(); ++index)
    sum_heads(layer, pass.sequences[index], head_sums + sums_begin_[index], sums);
}

std::span<const Position> Attention::attended_rows(int layer,
                                                   const RowPass& pass,
                                                   const PassSequence& packed) const {
  if (layer + 1 == shape_.num_layers && !packed.reuse) return packed.sequence->query.eligible;
  return pass.positions_of(packed);
}

std::int64_t Attention::head_sums_size(const PassSequence& packed) const {
  const StepSequence& s = *packed.sequence;
  const std::int64_t rows =
      (s.track ? 1 : 0) + (packed.reuse && s.tests_drift() ? 2 * s.query.num_tracked : 0);
  return rows * s.canvas_length();
}

HeadTask Attention::head_task(const Work& work,
                              const PassSequence& packed,
                              int head,
                              float* sums) const {
  const StepSequence& s = *packed.sequence;
  const std::int64_t width = shape_.local_head_width(), n = s.canvas_length();
  const std::int64_t column = std::int64_t{head} * shape_.head_dim();
  const std::int64_t column_bytes = column * (shape_.storage == Storage::kFloat32 ? 4 : 2);
  const auto head_of = [&](void* row) { return static_cast<std::byte*>(row) + column_bytes; };
  const auto queries = attended_rows(work.layer, work.pass, packed);
  HeadTask task;
  task.q_cache = head_of(cache_.q(work.layer, s.slot_begin));
  task.k_cache = head_of(cache_.k(work.layer, s.slot_begin));
  task.v_cache = head_of(cache_.v(work.layer, s.slot_begin));
  task.cache_stride = width;
  task.storage = shape_.storage;
  task.canvas_length = s.canvas_length();
  task.head_dim = shape_.head_dim();
  task.scale = 1.0f / std::sqrt(static_cast<float>(shape_.head_dim()));
  if (!packed.from_cache) {
    task.q_new = work.qkv + packed.first_row * 3 * width + column;
    task.k_new = task.q_new + width;
    task.v_new = task.q_new + 2 * width;
    task.new_stride = 3 * width;
    task.written = work.pass.positions_of(packed).data();
    task.num_written = packed.num_rows;
  }
  task.queries = queries.data();
  task.num_queries = static_cast<int>(queries.size());
  task.out = work.out + packed.first_row * width + column;
  task.out_stride = width;
  if (s.track) {
    task.window = s.query.eligible.data();
    task.num_window = static_cast<int>(s.query.eligible.size());
    task.mass = sums + head * n;
  }
  if (packed.reuse && s.tests_drift()) {
    const std::int64_t heads = shape_.local_heads(), probabilities = s.query.num_tracked * n;
    task.num_tracked = s.query.num_tracked;
    task.p_old = sums + heads * n + head * probabilities;
    task.p_new = task.p_old + heads * probabilities;
  }
  return task;
}

void Attention::sum_heads(int layer,
                          const PassSequence& packed,
                          const float* head_sums,
                          AttentionSums& sums) {
  const StepSequence& s = *packed.sequence;
  if (!s.track) return;
  const std::int64_t heads = shape_.local_heads(), n = s.canvas_length();
  kernels().tree_sum(head_sums, static_cast<int>(heads), n, sums.mass(packed.index, layer).data());
  if (!packed.reuse || !s.tests_drift()) return;
  const float* p_old = head_sums + heads * n;
  sum_drift(
      packed, p_old, p_old + heads * s.query.num_tracked * n, sums.drift(packed.index, layer));
}

void Attention::sum_drift(const PassSequence& packed,
                          const float* p_old,
                          const float* p_new,
                          std::span<float> drift) {
  const StepSequence& s = *packed.sequence;
  const int heads = shape_.local_heads();
  const auto count = static_cast<std::size_t>(s.query.num_tracked) * s.canvas_length();
  switch (s.drift) {
    case DriftMeasure::kHeads:
      kernels().drift_sums(p_old,
                           p_new,
                           heads,
                           static_cast<std::int64_t>(count),
                           drift.data(),
                           drift.data() + count,
                           drift.data() + 2 * count);
      return;
    case DriftMeasure::kRows:
      cosines_.clear();  // summed over the tracked rows
      for (int head = 0; head < heads; ++head) {
        cosines_.push_back(static_cast<float>(sum_of_row_cosines(
            {p_old + head * count, count}, {p_new + head * count, count}, s.query.num_tracked)));
      }
      kernels().tree_sum(cosines_.data(), heads, 1, drift.data());
      return;
  }
}

}  // namespace rubato
