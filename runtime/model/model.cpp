#include "runtime/model/model.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "cache/drift.h"
#include "runtime/base/check.h"

namespace rubato {
namespace {

std::int64_t num_eligible(std::span<const StepSequence> sequences) {
  std::int64_t count = 0;
  for (const StepSequence& sequence : sequences) count += std::ssize(sequence.query.eligible);
  return count;
}

}  // namespace

Model::Model(const ModelShape& shape,
             const ModelWeights& weights,
             CacheStore& cache,
             Communicator& communicator)
    : shape_(shape),
      weights_(weights),
      cache_(cache),
      communicator_(communicator),
      vocabulary_(shape, communicator) {
  const int half = shape.head_dim() / 2;
  cos_.reserve(static_cast<std::size_t>(shape.max_positions) * half);
  sin_.reserve(cos_.capacity());
  for (int position = 0; position < shape.max_positions; ++position) {
    for (int i = 0; i < half; ++i) {
      const auto exponent = static_cast<float>(2 * i) / static_cast<float>(shape.head_dim());
      const float inverse = 1.0f / std::pow(static_cast<float>(shape.rope_theta), exponent);
      const float angle = static_cast<float>(position) * inverse;
      cos_.push_back(std::cos(angle));
      sin_.push_back(std::sin(angle));
    }
  }
}

void Model::reuse_pass(std::span<const StepSequence> sequences) {
  sums_.reset(sequences, shape_.num_layers);
  RowPass pass;
  window_rows_.assign(1, 0);
  for (int i = 0; i < static_cast<int>(sequences.size()); ++i) {
    if (sequences[i].runs_reuse_pass())
      pass.append(i, sequences[i], sequences[i].query.rows, /*reuse=*/true);
    window_rows_.push_back(window_rows_.back() +
                           static_cast<int>(sequences[i].query.eligible.size()));
  }
  window_hidden_.floats(num_eligible(sequences) * shape_.d_model);
  if (pass.sequences.empty()) return;
  embed(pass, 0);
  for (int b = 0; b < shape_.num_layers; ++b) layer(b, pass);
  keep_eligible_rows(pass);
}

std::vector<std::vector<double>> Model::reduce(std::span<const StepSequence> sequences) {
  std::vector<std::vector<double>> similarity(sequences.size());
  const bool any = std::ranges::any_of(sequences, &StepSequence::runs_reuse_pass);
  if (!any) return similarity;
  if (!sums_.empty()) {
    at::Tensor sums = sums_.tensor();
    communicator_.all_reduce_sum(sums);
  }
  for (int i = 0; i < static_cast<int>(sequences.size()); ++i) {
    const StepSequence& s = sequences[i];
    for (int b = 0; s.tests_drift() && b < shape_.num_layers; ++b) {
      similarity[i].push_back(drift_similarity(
          s.drift, sums_.drift(i, b), s.query.num_tracked, s.canvas_length(), shape_.num_heads));
    }
  }
  return similarity;
}

void Model::refresh(std::span<const StepSequence> sequences, std::span<const int> boundaries) {
  if (std::ranges::all_of(boundaries, [&](int b) { return b >= shape_.num_layers; })) return;
  RowPass pass;
  for (int b = 0; b < shape_.num_layers; ++b) {
    const auto first_joined = pass.sequences.size();
    for (int i = 0; i < static_cast<int>(sequences.size()); ++i) {
      if (boundaries[i] == b) pass.append_canvas(i, sequences[i], /*from_cache=*/b > 0);
    }
    if (b == 0 && !pass.sequences.empty()) embed(pass, 0);
    for (auto j = first_joined; b > 0 && j < pass.sequences.size(); ++j)
      gather_hidden(b, pass.sequences[j]);
    if (pass.sequences.empty()) continue;
    layer(b, pass);
    for (PassSequence& part : pass.sequences) part.from_cache = false;
  }
  keep_eligible_rows(pass);
  reduce_refreshed_mass(sequences, boundaries);
}

void Model::layer(int b, RowPass& pass) {
  // Those who join at this layer stand last; their projections are in the cache.
  std::int64_t projected = 0;
  for (const PassSequence& part : pass.sequences) projected += part.from_cache ? 0 : part.num_rows;
  store_hidden(b, pass, projected);
  project(b, pass, projected);
  attend(b, pass);
  const bool last = b + 1 == shape_.num_layers;
  if (last) drop_to_eligible(pass);
  row_parallel(weights_.layers[b].attn_out, attention_.floats(0), pass.num_rows());
  mlp(b, pass.num_rows());
}

void Model::project(int b, const RowPass& pass, std::int64_t rows) {
  if (rows == 0) return;
  const LayerWeights& w = weights_.layers[b];
  const int width = shape_.local_head_width();
  float* normed = normed_.floats(rows * shape_.d_model);
  kernels().rms_norm(hidden_.floats(0),
                     w.attn_norm.data(),
                     normed,
                     rows,
                     shape_.d_model,
                     static_cast<float>(shape_.rms_norm_eps),
                     shape_.storage);
  float* qkv = qkv_.floats(rows * 3 * width);
  w.qkv.apply(normed, rows, qkv);
  if (shape_.storage == Storage::kBFloat16) kernels().round(qkv, rows * 3 * width);
  kernels().rope(qkv,
                 pass.positions.data(),
                 rows,
                 3 * width,
                 2 * shape_.local_heads(),
                 shape_.head_dim(),
                 cos_.data(),
                 sin_.data(),
                 shape_.storage);
}

void Model::row_parallel(const Linear& linear, const float* x, std::int64_t rows) {
  const std::int64_t count = rows * shape_.d_model;
  at::Tensor partial = partial_.tensor(count);
  linear.apply(x, rows, partial.data_ptr<float>());
  communicator_.all_reduce_sum(partial);
  kernels().add(hidden_.floats(0), partial.data_ptr<float>(), count, shape_.storage);
}

void Model::mlp(int b, std::int64_t rows) {
  const LayerWeights& w = weights_.layers[b];
  const int width = shape_.local_mlp_width();
  float* normed = normed_.floats(rows * shape_.d_model);
  kernels().rms_norm(hidden_.floats(0),
                     w.ff_norm.data(),
                     normed,
                     rows,
                     shape_.d_model,
                     static_cast<float>(shape_.rms_norm_eps),
                     shape_.storage);
  float* gate_up = gate_up_.floats(rows * 2 * width);
  w.gate_up.apply(normed, rows, gate_up);
  if (shape_.storage == Storage::kBFloat16) kernels().round(gate_up, rows * 2 * width);
  float* activation = activation_.floats(rows * width);
  at::parallel_for(0, rows, 16, [&](std::int64_t begin, std::int64_t end) {
    kernels().swiglu(gate_up + begin * 2 * width,
                     activation + begin * width,
                     end - begin,
                     width,
                     shape_.storage);
  });
  row_parallel(w.down, activation, rows);
}

void Model::keep_eligible_rows(const RowPass& pass) {
  // The last layer left the eligible rows only, in order of the pass's sequences.
  const float* row = hidden_.floats(0);
  for (const PassSequence& part : pass.sequences) {
    const std::int64_t count = part.num_rows * std::int64_t{shape_.d_model};
    std::copy_n(row + std::int64_t{part.first_row} * shape_.d_model,
                count,
                window_hidden_.floats(0) + std::int64_t{window_rows_[part.index]} * shape_.d_model);
  }
}

void Model::drop_to_eligible(RowPass& pass) {
  const std::int64_t d = shape_.d_model, width = shape_.local_head_width();
  std::int64_t total = 0;
  for (const PassSequence& part : pass.sequences)
    total += std::ssize(part.sequence->query.eligible);
  float* hidden = normed_.floats(total * d);
  float* attention = compact_.floats(total * width);
  std::vector<Position> kept;
  kept.reserve(total);
  for (PassSequence& part : pass.sequences) {
    const auto positions = pass.positions_of(part);
    const auto first = static_cast<int>(kept.size());
    for (const Position position : part.sequence->query.eligible) {
      const auto to = std::ssize(kept);
      const std::int64_t row =
          part.first_row + (std::ranges::find(positions, position) - positions.begin());
      // A refresh attended from the eligible positions only, one after the other (see
      // `queries_of`).
      const std::int64_t attended = part.reuse ? row : part.first_row + (to - first);
      std::copy_n(hidden_.floats(0) + row * d, d, hidden + to * d);
      std::copy_n(attention_.floats(0) + attended * width, width, attention + to * width);
      kept.push_back(position);
    }
    part.first_row = first;
    part.num_rows = static_cast<int>(kept.size()) - first;
  }
  std::swap(hidden_, normed_);
  std::swap(attention_, compact_);
  pass.positions = std::move(kept);
}

std::span<const Position> Model::queries_of(int b,
                                            const RowPass& pass,
                                            const PassSequence& part) const {
  // After the last layer only the eligible rows are read; a reuse pass still needs its tracked
  // rows' attention there.
  if (b + 1 == shape_.num_layers && !part.reuse) return part.sequence->query.eligible;
  return pass.positions_of(part);
}

void Model::attend(int b, const RowPass& pass) {
  const std::int64_t width = shape_.local_head_width();
  const int heads = shape_.local_heads(), dim = shape_.head_dim();
  attention_.floats(pass.num_rows() * width);
  std::int64_t scratch_size = 0, sums_size = 0;
  std::vector<std::int64_t> sums_begin;
  for (const PassSequence& part : pass.sequences) {
    const StepSequence& s = *part.sequence;
    scratch_size = std::max(scratch_size, attention_scratch_size(s.canvas_length(), dim));
    sums_begin.push_back(sums_size);
    sums_size += heads * head_sums_size(part);
  }
  scratch_.floats(scratch_size * at::get_num_threads());
  head_sums_.floats(sums_size);
  const auto num_tasks = std::ssize(pass.sequences) * heads;
  at::parallel_for(0, num_tasks, 1, [&](std::int64_t begin, std::int64_t end) {
    float* scratch = scratch_.floats(0) + at::get_thread_num() * scratch_size;
    for (std::int64_t i = begin; i < end; ++i) {
      const auto part = i / heads;
      const auto head = static_cast<int>(i % heads);
      kernels().attend(head_task(
          b, pass, pass.sequences[part], head, head_sums_.floats(0) + sums_begin[part], scratch));
    }
  });
  for (std::size_t part = 0; part < pass.sequences.size(); ++part) {
    sum_heads(b, pass.sequences[part], head_sums_.floats(0) + sums_begin[part]);
  }
}

std::int64_t Model::head_sums_size(const PassSequence& part) const {
  const StepSequence& s = *part.sequence;
  const std::int64_t rows =
      (s.track ? 1 : 0) + (part.reuse && s.tests_drift() ? 2 * s.query.num_tracked : 0);
  return rows * s.canvas_length();
}

HeadTask Model::head_task(
    int b, const RowPass& pass, const PassSequence& part, int head, float* sums, float* scratch) {
  const StepSequence& s = *part.sequence;
  const std::int64_t width = shape_.local_head_width();
  const std::int64_t column = std::int64_t{head} * shape_.head_dim();
  const std::int64_t column_bytes = column * (shape_.storage == Storage::kFloat32 ? 4 : 2);
  const auto head_of = [&](void* row) { return static_cast<std::byte*>(row) + column_bytes; };
  const auto queries = queries_of(b, pass, part);
  HeadTask task;
  task.q_cache = head_of(cache_.q(b, s.slot_begin));
  task.k_cache = head_of(cache_.k(b, s.slot_begin));
  task.v_cache = head_of(cache_.v(b, s.slot_begin));
  task.cache_stride = width;
  task.storage = shape_.storage;
  task.canvas_length = s.canvas_length();
  task.head_dim = shape_.head_dim();
  task.scale = 1.0f / std::sqrt(static_cast<float>(shape_.head_dim()));
  if (!part.from_cache) {
    const float* qkv = qkv_.floats(0) + part.first_row * 3 * width + column;
    task.q_new = qkv;
    task.k_new = qkv + width;
    task.v_new = qkv + 2 * width;
    task.new_stride = 3 * width;
    task.written = pass.positions_of(part).data();
    task.num_written = part.num_rows;
  }
  task.queries = queries.data();
  task.num_queries = static_cast<int>(queries.size());
  task.out = attention_.floats(0) + part.first_row * width + column;
  task.out_stride = width;
  task.scratch = scratch;
  const std::int64_t n = s.canvas_length();
  if (s.track) {
    task.window = s.query.eligible.data();
    task.num_window = static_cast<int>(s.query.eligible.size());
    task.mass = sums + head * n;
  }
  if (part.reuse && s.tests_drift()) {
    const std::int64_t probabilities = s.query.num_tracked * n;
    task.num_tracked = s.query.num_tracked;
    task.p_old = sums + shape_.local_heads() * n + head * probabilities;
    task.p_new = task.p_old + shape_.local_heads() * probabilities;
  }
  return task;
}

void Model::sum_heads(int b, const PassSequence& part, const float* sums) {
  const StepSequence& s = *part.sequence;
  if (!s.track) return;
  const int heads = shape_.local_heads();
  const std::int64_t n = s.canvas_length(), probabilities = s.query.num_tracked * n;
  kernels().tree_sum(sums, heads, n, sums_.mass(part.index, b).data());
  if (!part.reuse || !s.tests_drift()) return;
  const float* p_old = sums + heads * n;
  const float* p_new = p_old + heads * probabilities;
  const std::span<float> drift = sums_.drift(part.index, b);
  switch (s.drift) {
    case DriftMeasure::kHeads:
      kernels().drift_sums(p_old,
                           p_new,
                           heads,
                           probabilities,
                           drift.data(),
                           drift.data() + probabilities,
                           drift.data() + 2 * probabilities);
      return;
    case DriftMeasure::kRows:
      std::vector<float> cosines;  // by head, summed over the tracked rows
      for (int head = 0; head < heads; ++head) {
        const std::int64_t begin = head * probabilities;
        cosines.push_back(static_cast<float>(
            sum_of_row_cosines({p_old + begin, static_cast<std::size_t>(probabilities)},
                               {p_new + begin, static_cast<std::size_t>(probabilities)},
                               s.query.num_tracked)));
      }
      kernels().tree_sum(cosines.data(), heads, 1, drift.data());
      return;
  }
}

void Model::embed(const RowPass& pass, std::int64_t first_row) {
  const std::int64_t d = shape_.d_model, rows = pass.num_rows() - first_row;
  at::Tensor hidden = hidden_.tensor(pass.num_rows() * d).narrow(0, first_row * d, rows * d);
  float* out = hidden.data_ptr<float>();
  for (const PassSequence& part : pass.sequences) {
    for (const Position position : pass.positions_of(part)) {
      const std::int64_t local = part.sequence->canvas[position] - shape_.first_vocabulary_id();
      if (local >= 0 && local < shape_.local_vocabulary()) {
        std::copy_n(weights_.embedding.data() + local * d, d, out);
      } else {
        std::fill_n(out, d, 0.0f);
      }
      out += d;
    }
  }
  communicator_.all_reduce_sum(hidden);  // exact: all ranks but one add 0
}

namespace {

void narrow_row(const float* from, std::int64_t count, Storage storage, void* to) {
  if (storage == Storage::kFloat32) {
    std::memcpy(to, from, count * sizeof(float));
    return;
  }
  auto* halves = static_cast<std::uint16_t*>(to);
  for (std::int64_t i = 0; i < count; ++i)
    halves[i] = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(from[i]) >> 16);
}

void widen_row(const void* from, std::int64_t count, Storage storage, float* to) {
  if (storage == Storage::kFloat32) {
    std::memcpy(to, from, count * sizeof(float));
    return;
  }
  const auto* halves = static_cast<const std::uint16_t*>(from);
  for (std::int64_t i = 0; i < count; ++i)
    to[i] = std::bit_cast<float>(std::uint32_t{halves[i]} << 16);
}

}  // namespace

void Model::store_hidden(int b, const RowPass& pass, std::int64_t rows) {
  const std::int64_t d = shape_.d_model, width = shape_.local_hidden_width();
  for (const PassSequence& part : pass.sequences) {
    for (int i = 0; i < part.num_rows && part.first_row + i < rows; ++i) {
      const std::int64_t row = part.first_row + i;
      const float* from = hidden_.floats(0) + row * d + shape_.tp_rank * width;
      narrow_row(from,
                 width,
                 shape_.storage,
                 cache_.x(b, part.sequence->slot_begin + pass.positions[row]));
    }
  }
}

void Model::gather_hidden(int b, const PassSequence& part) {
  const std::int64_t d = shape_.d_model, width = shape_.local_hidden_width(), rows = part.num_rows;
  at::Tensor mine = normed_.tensor(rows * width), all = gathered_.tensor(rows * d);
  for (std::int64_t row = 0; row < rows; ++row) {
    widen_row(cache_.x(b, part.sequence->slot_begin + row),
              width,
              shape_.storage,
              mine.data_ptr<float>() + row * width);
  }
  communicator_.all_gather(mine, all);
  hidden_.grow_keeping((part.first_row + rows) * d);
  float* out = hidden_.floats(0) + part.first_row * d;
  for (int rank = 0; rank < shape_.tp_size; ++rank) {
    for (std::int64_t row = 0; row < rows; ++row) {
      std::copy_n(
          all.data_ptr<float>() + (rank * rows + row) * width, width, out + row * d + rank * width);
    }
  }
}

void Model::reduce_refreshed_mass(std::span<const StepSequence> sequences,
                                  std::span<const int> boundaries) {
  // The reuse pass's sums are whole by now; only the layers that were computed anew hold this
  // rank's part.
  const auto for_each_part = [&](auto&& visit) {
    std::int64_t begin = 0;
    for (int i = 0; i < static_cast<int>(sequences.size()); ++i) {
      for (int b = boundaries[i]; sequences[i].track && b < shape_.num_layers; ++b) {
        visit(sums_.mass(i, b), begin);
        begin += sequences[i].canvas_length();
      }
    }
    return begin;
  };
  const std::int64_t count = for_each_part([](std::span<float>, std::int64_t) {});
  if (count == 0) return;
  at::Tensor exchange = mass_exchange_.tensor(count);
  float* values = exchange.data_ptr<float>();
  for_each_part(
      [&](std::span<float> mass, std::int64_t begin) { std::ranges::copy(mass, values + begin); });
  communicator_.all_reduce_sum(exchange);
  for_each_part([&](std::span<float> mass, std::int64_t begin) {
    std::copy_n(values + begin, mass.size(), mass.begin());
  });
}

void Model::compute_logits(std::span<const StepSequence> sequences) {
  const std::int64_t rows = num_eligible(sequences);
  float* normed = normed_.floats(rows * shape_.d_model);
  kernels().rms_norm(window_hidden_.floats(0),
                     weights_.final_norm.data(),
                     normed,
                     rows,
                     shape_.d_model,
                     static_cast<float>(shape_.rms_norm_eps),
                     shape_.storage);
  float* logits = logits_.floats(rows * shape_.local_vocabulary());
  weights_.head.apply(normed, rows, logits);
  if (shape_.storage == Storage::kBFloat16)
    kernels().round(logits, rows * shape_.local_vocabulary());
}

std::vector<std::vector<Candidate>> Model::candidates(std::span<const StepSequence> sequences,
                                                      TokenId mask_id) {
  return vocabulary_.candidates(sequences, logits_.floats(0), mask_id);
}

}  // namespace rubato
