#include "runtime/model/cpu_model.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "cache/drift.h"

namespace rubato {
namespace {

std::int64_t num_eligible(std::span<const StepSequence> sequences) {
  std::int64_t count = 0;
  for (const StepSequence& sequence : sequences) count += std::ssize(sequence.query.eligible);
  return count;
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
  RowPass& pass = pass_;
  pass.clear();
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
  if (std::ranges::all_of(boundaries, [&](int b) { return b >= shape_.num_layers; })) return;
  RowPass& pass = pass_;
  pass.clear();
  for (int b = 0; b < shape_.num_layers; ++b) {
    const auto first_joined = pass.sequences.size();
    for (int i = 0; i < static_cast<int>(sequences.size()); ++i) {
      if (boundaries[i] == b) pass.append_canvas(i, sequences[i], /*from_cache=*/b > 0);
    }
    if (b == 0 && !pass.sequences.empty()) embed(pass, 0);
    for (auto j = first_joined; b > 0 && j < pass.sequences.size(); ++j) {
      const PassSequence& part = pass.sequences[j];
      hidden_.grow_keeping(part.end_row() * shape_.d_model);
      hidden_cache_.gather(
          b, *part.sequence, hidden_.floats(0) + std::int64_t{part.first_row} * shape_.d_model);
    }
    if (pass.sequences.empty()) continue;
    layer(b, pass);
    for (PassSequence& part : pass.sequences) part.from_cache = false;
  }
  keep_eligible_rows(pass);
  reduce_refreshed_mass(sequences, boundaries);
}

void CpuModel::layer(int b, RowPass& pass) {
  // Those who join at this layer stand last; their projections are in the cache.
  std::int64_t projected = 0;
  for (const PassSequence& part : pass.sequences) projected += part.from_cache ? 0 : part.num_rows;
  hidden_cache_.store(b, pass, projected, hidden_.floats(0));
  project(b, pass, projected);
  float* attended = attended_.floats(pass.num_rows() * shape_.local_head_width());
  attention_.run(b, pass, qkv_.floats(0), attended, sums_);
  const bool last = b + 1 == shape_.num_layers;
  if (last) drop_to_eligible(pass);
  row_parallel(weights_.layers[b].attn_out, attended_.floats(0), pass.num_rows());
  mlp(b, pass.num_rows());
}

void CpuModel::project(int b, const RowPass& pass, std::int64_t rows) {
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
                 rotary_.cos.data(),
                 rotary_.sin.data(),
                 shape_.storage);
}

void CpuModel::row_parallel(const Linear& linear, const float* x, std::int64_t rows) {
  const std::int64_t count = rows * shape_.d_model;
  at::Tensor partial = partial_.tensor(count);
  linear.apply(x, rows, partial.data_ptr<float>());
  communicator_.all_reduce_sum(partial);
  kernels().add(hidden_.floats(0), partial.data_ptr<float>(), count, shape_.storage);
}

void CpuModel::mlp(int b, std::int64_t rows) {
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

void CpuModel::keep_eligible_rows(const RowPass& pass) {
  // The last layer left the eligible rows only, in order of the pass's sequences.
  const float* row = hidden_.floats(0);
  for (const PassSequence& part : pass.sequences) {
    const std::int64_t count = part.num_rows * std::int64_t{shape_.d_model};
    std::copy_n(row + std::int64_t{part.first_row} * shape_.d_model,
                count,
                window_hidden_.floats(0) + std::int64_t{window_rows_[part.index]} * shape_.d_model);
  }
}

void CpuModel::drop_to_eligible(RowPass& pass) {
  const std::int64_t d = shape_.d_model, width = shape_.local_head_width();
  std::int64_t total = 0;
  for (const PassSequence& part : pass.sequences)
    total += std::ssize(part.sequence->query.eligible);
  float* hidden = normed_.floats(total * d);
  float* attended = compact_.floats(total * width);
  kept_.clear();
  for (PassSequence& part : pass.sequences) {
    const auto positions = pass.positions_of(part);
    const auto first = static_cast<int>(kept_.size());
    for (const Position position : part.sequence->query.eligible) {
      const auto to = std::ssize(kept_);
      // A refresh has a row for each position, but attended from the eligible ones only, one after
      // the other (Attention::attended_rows).
      const std::int64_t row =
          part.reuse ? std::ranges::find(positions, position) - positions.begin() : position;
      const std::int64_t attended_row = part.reuse ? row : to - first;
      std::copy_n(hidden_.floats(0) + (part.first_row + row) * d, d, hidden + to * d);
      std::copy_n(attended_.floats(0) + (part.first_row + attended_row) * width,
                  width,
                  attended + to * width);
      kept_.push_back(position);
    }
    part.first_row = first;
    part.num_rows = static_cast<int>(kept_.size()) - first;
  }
  std::swap(hidden_, normed_);
  std::swap(attended_, compact_);
  std::swap(pass.positions, kept_);
}

void CpuModel::embed(const RowPass& pass, std::int64_t first_row) {
  const std::int64_t d = shape_.d_model, rows = pass.num_rows() - first_row;
  at::Tensor hidden = hidden_.tensor(pass.num_rows() * d).narrow(0, first_row * d, rows * d);
  float* out = hidden.data_ptr<float>();
  for (const PassSequence& part : pass.sequences) {
    for (const Position position : pass.positions_of(part)) {
      const std::int64_t local = part.sequence->canvas[position] - shape_.first_vocabulary_id();
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

void CpuModel::compute_logits(std::span<const StepSequence> sequences) {
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

std::vector<std::vector<Candidate>> CpuModel::candidates(std::span<const StepSequence> sequences,
                                                         TokenId mask_id) {
  return vocabulary_.candidates(sequences, logits_.floats(0), mask_id);
}

}  // namespace rubato
