#include "runtime/model/cpu_model.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "cache/drift.h"
#include "runtime/model/eligible_part.h"

namespace rubato {
namespace {

/// Rows that go through a layer's matrices at a time: more would not be faster, and the
/// intermediate results take memory per row.
constexpr std::int64_t kRowsAtATime = 512;

/// Rows that go through the layers together, if of more than one sequence: a pass also takes memory
/// per row.
constexpr std::int64_t kRowsTogether = 2048;

/// Logits that exist at a time, 64 MiB: clients choose how many rows the head runs over.
constexpr int kLogitsAtATime = 16 << 20;

void for_each_chunk(std::int64_t rows, auto&& visit) {
  for (std::int64_t first = 0; first < rows; first += kRowsAtATime)
    visit(first, std::min(kRowsAtATime, rows - first));
}

/// Calls visit(first, end) for each group of sequences that go through the layers together; the
/// grouping does not change results. `rows_of` returns a sequence's number of rows.
void for_each_group(int num_sequences, auto&& rows_of, auto&& visit) {
  for (int first = 0, end = 0; first < num_sequences; first = end) {
    for (std::int64_t rows = 0; end < num_sequences; ++end) {
      rows += rows_of(end);
      if (end > first && rows > kRowsTogether) break;
    }
    visit(first, end);
  }
}

}  // namespace

CpuModel::CpuModel(const ModelShape& shape,
                   const ModelWeights& weights,
                   CacheStore& cache,
                   Communicator& communicator)
    : shape_(shape),
      weights_(weights),
      communicator_(communicator),
      rotary_(shape),
      attention_(shape, cache),
      hidden_cache_(shape, cache, communicator),
      vocabulary_(shape, communicator) {}

void CpuModel::reuse_pass(std::span<const StepSequence> sequences) {
  sums_.reset(sequences, shape_.num_layers);
  window_rows_.assign(1, 0);
  for (const StepSequence& sequence : sequences)
    window_rows_.push_back(window_rows_.back() + static_cast<int>(sequence.query.eligible.size()));
  window_hidden_.floats(std::int64_t{window_rows_.back()} * shape_.d_model);
  const auto rows_of = [&](int i) { return std::ssize(sequences[i].query.rows); };
  for_each_group(static_cast<int>(sequences.size()), rows_of, [&](int first, int end) {
    pass_.clear();
    for (int i = first; i < end; ++i) {
      if (sequences[i].runs_reuse_pass())
        pass_.append(i, sequences[i], sequences[i].query.rows, /*reuse=*/true);
    }
    if (pass_.sequences.empty()) return;
    embed(pass_);
    for (int b = 0; b < shape_.num_layers; ++b) run_layer(b, pass_);
    keep_eligible_rows(pass_);
  });
}

std::vector<std::vector<double>> CpuModel::reduce(std::span<const StepSequence> sequences) {
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

void CpuModel::refresh(std::span<const StepSequence> sequences, std::span<const int> boundaries) {
  const auto rows_of = [&](int i) {
    return boundaries[i] < shape_.num_layers ? std::int64_t{sequences[i].canvas_length()} : 0;
  };
  for_each_group(static_cast<int>(sequences.size()), rows_of, [&](int first, int end) {
    refresh_together(sequences, boundaries, first, end);
  });
  reduce_refreshed_mass(sequences, boundaries);
}

void CpuModel::refresh_together(std::span<const StepSequence> sequences,
                                std::span<const int> boundaries,
                                int first,
                                int end) {
  RowPass& pass = pass_;
  pass.clear();
  for (int b = 0; b < shape_.num_layers; ++b) {
    const auto first_joined = pass.sequences.size();
    for (int i = first; i < end; ++i) {
      if (boundaries[i] == b) pass.append_canvas(i, sequences[i], /*from_cache=*/b > 0);
    }
    if (pass.sequences.empty()) continue;
    if (b == 0) embed(pass);
    for (auto j = first_joined; b > 0 && j < pass.sequences.size(); ++j) {
      const PassSequence& packed = pass.sequences[j];
      hidden_.grow_keeping(packed.end_row() * shape_.d_model);
      hidden_cache_.gather(
          b, *packed.sequence, hidden_.floats(0) + std::int64_t{packed.first_row} * shape_.d_model);
    }
    run_layer(b, pass);
    for (PassSequence& packed : pass.sequences) packed.from_cache = false;
  }
  keep_eligible_rows(pass);
}

void CpuModel::run_layer(int b, RowPass& pass) {
  // The sequences that join at this layer come last; their projections are in the cache.
  std::int64_t projected = 0;
  for (const PassSequence& packed : pass.sequences)
    projected += packed.from_cache ? 0 : packed.num_rows;
  hidden_cache_.store(b, pass, projected, hidden_.floats(0));
  project(b, pass, projected);
  float* attended = attended_.floats(pass.num_rows() * shape_.local_head_width());
  attention_.run(b, pass, qkv_.floats(0), attended, sums_);
  if (b + 1 == shape_.num_layers) drop_to_eligible(pass);
  for_each_chunk(pass.num_rows(), [&](std::int64_t first, std::int64_t rows) {
    const float* x = attended_.floats(0) + first * shape_.local_head_width();
    float* hidden = hidden_.floats(0) + first * shape_.d_model;
    add_row_parallel(weights_.layers[b].attn_out, x, hidden, rows);
    add_mlp(b, hidden, rows);
  });
}

void CpuModel::project(int b, const RowPass& pass, std::int64_t rows) {
  if (rows == 0) return;
  const LayerWeights& w = weights_.layers[b];
  const int width = shape_.local_head_width();
  float* qkv = qkv_.floats(rows * 3 * width);
  for_each_chunk(rows, [&](std::int64_t first, std::int64_t count) {
    const float* hidden = hidden_.floats(0) + first * shape_.d_model;
    w.qkv.apply(norm(w.attn_norm, hidden, count), count, qkv + first * 3 * width);
  });
  if (shape_.storage == Storage::kBFloat16) kernels().round(qkv, rows * 3 * width);
  kernels().rope(qkv,
                 pass.positions.data(),
                 rows,
                 3 * width,
                 2 * shape_.local_heads(),
                 shape_.head_dim(),
                 rotary_.cos.data(),
                 rotary_.sin.data(),
                 shape_.storage);
}

const float* CpuModel::norm(const std::vector<float>& weight,
                            const float* hidden,
                            std::int64_t rows) {
  float* normed = normed_.floats(rows * shape_.d_model);
  kernels().rms_norm(hidden,
                     weight.data(),
                     normed,
                     rows,
                     shape_.d_model,
                     static_cast<float>(shape_.rms_norm_eps),
                     shape_.storage);
  return normed;
}

void CpuModel::add_row_parallel(const Linear& linear,
                                const float* x,
                                float* hidden,
                                std::int64_t rows) {
  const std::int64_t count = rows * shape_.d_model;
  at::Tensor partial = partial_.tensor(count);
  linear.apply(x, rows, partial.data_ptr<float>());
  communicator_.all_reduce_sum(partial);
  kernels().add(hidden, partial.data_ptr<float>(), count, shape_.storage);
}

void CpuModel::add_mlp(int b, float* hidden, std::int64_t rows) {
  const LayerWeights& w = weights_.layers[b];
  const int width = shape_.local_mlp_width();
  const float* normed = norm(w.ff_norm, hidden, rows);
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
  add_row_parallel(w.down, activation, hidden, rows);
}

void CpuModel::keep_eligible_rows(const RowPass& pass) {
  // The last layer left only the eligible rows, in order of the pass's sequences.
  const float* row = hidden_.floats(0);
  for (const PassSequence& packed : pass.sequences) {
    const std::int64_t count = packed.num_rows * std::int64_t{shape_.d_model};
    std::copy_n(
        row + std::int64_t{packed.first_row} * shape_.d_model,
        count,
        window_hidden_.floats(0) + std::int64_t{window_rows_[packed.index]} * shape_.d_model);
  }
}

void CpuModel::drop_to_eligible(RowPass& pass) {
  std::vector<Position> kept;
  std::vector<std::int64_t> rows, attended_rows;  // their current places
  for (PassSequence& packed : pass.sequences) {
    const auto positions = pass.positions_of(packed);
    const auto first = static_cast<int>(kept.size());
    for (const Position position : packed.sequence->query.eligible) {
      // A refresh has a row for each position, but attended from the eligible ones only, one after
      // the other (Attention::attended_rows).
      const std::int64_t row =
          packed.reuse ? std::ranges::find(positions, position) - positions.begin() : position;
      rows.push_back(packed.first_row + row);
      attended_rows.push_back(packed.first_row + (packed.reuse ? row : std::ssize(kept) - first));
      kept.push_back(position);
    }
    packed.first_row = first;
    packed.num_rows = static_cast<int>(kept.size()) - first;
  }
  keep_rows(hidden_.floats(0), shape_.d_model, rows);
  keep_rows(attended_.floats(0), shape_.local_head_width(), attended_rows);
  pass.positions = std::move(kept);
}

void CpuModel::keep_rows(float* matrix, std::int64_t width, std::span<const std::int64_t> rows) {
  float* kept = kept_.floats(std::ssize(rows) * width);
  for (std::int64_t i = 0; i < std::ssize(rows); ++i)
    std::copy_n(matrix + rows[i] * width, width, kept + i * width);
  std::copy_n(kept, std::ssize(rows) * width, matrix);
}

void CpuModel::embed(const RowPass& pass) {
  const std::int64_t d = shape_.d_model;
  at::Tensor hidden = hidden_.tensor(pass.num_rows() * d);
  float* out = hidden.data_ptr<float>();
  for (const PassSequence& packed : pass.sequences) {
    for (const Position position : pass.positions_of(packed)) {
      const std::int64_t local = packed.sequence->canvas[position] - shape_.first_vocabulary_id();
      if (local >= 0 && local < shape_.local_vocabulary()) {
        weights_.embedding.copy_row(local, out);
      } else {
        std::fill_n(out, d, 0.0f);
      }
      out += d;
    }
  }
  communicator_.all_reduce_sum(hidden);  // exact: all ranks but one add 0
}

void CpuModel::reduce_refreshed_mass(std::span<const StepSequence> sequences,
                                     std::span<const int> boundaries) {
  // The reuse pass's sums are already added up; only the recomputed layers have just this rank's
  // part.
  const auto for_each_mass = [&](auto&& visit) {
    std::int64_t begin = 0;
    for (int i = 0; i < static_cast<int>(sequences.size()); ++i) {
      for (int b = boundaries[i]; sequences[i].track && b < shape_.num_layers; ++b) {
        visit(sums_.mass(i, b), begin);
        begin += sequences[i].canvas_length();
      }
    }
    return begin;
  };
  const std::int64_t count = for_each_mass([](std::span<float>, std::int64_t) {});
  if (count == 0) return;
  at::Tensor exchange = mass_exchange_.tensor(count);
  float* values = exchange.data_ptr<float>();
  for_each_mass(
      [&](std::span<float> mass, std::int64_t begin) { std::ranges::copy(mass, values + begin); });
  communicator_.all_reduce_sum(exchange);
  for_each_mass([&](std::span<float> mass, std::int64_t begin) {
    std::copy_n(values + begin, mass.size(), mass.begin());
  });
}

void CpuModel::compute_logits(std::span<const StepSequence>) {
  compute_logits(0, std::min(logit_rows_at_a_time(), window_rows_.back()));
}

int CpuModel::logit_rows_at_a_time() const {
  return std::max(1, kLogitsAtATime / shape_.local_vocabulary());
}

void CpuModel::compute_logits(int first, int end) {
  const std::int64_t rows = end - first, size = rows * shape_.local_vocabulary();
  const float* hidden = window_hidden_.floats(0) + std::int64_t{first} * shape_.d_model;
  float* logits = logits_.floats(size);
  weights_.head.apply(norm(weights_.final_norm, hidden, rows), rows, logits);
  if (shape_.storage == Storage::kBFloat16) kernels().round(logits, size);
}

std::vector<std::vector<Candidate>> CpuModel::candidates(std::span<const StepSequence> sequences,
                                                         TokenId mask_id) {
  const int rows = window_rows_.back(), at_a_time = logit_rows_at_a_time();
  return candidates_by_part(
      sequences, at_a_time, [&](std::span<const StepSequence> part, int first) {
        if (first > 0) compute_logits(first, std::min(rows, first + at_a_time));
        return vocabulary_.candidates(part, logits_.floats(0), mask_id);
      });
}

}  // namespace rubato
