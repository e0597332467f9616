#include "runtime/model/cuda/cuda_model.h"

#include <algorithm>

#include "parallel/cuda/cuda_check.h"
#include "runtime/model/rotary.h"

namespace rubato::cuda {
namespace {

constexpr int kBandRows = 2048;      // of the MLP at a time: its scratch is the widest
constexpr int kMostKeptRows = 1024;  // above, a pass's sums are made layer by layer
constexpr std::int64_t kListBytesPerRow = 192, kMoreListBytes = 4 << 20;

void copy_to_device(Memory& to, std::span<const float> from, Stream stream) {
  RUBATO_CUDA(cudaMemcpyAsync(to.as<float>(std::ssize(from)),
                              from.data(),
                              from.size_bytes(),
                              cudaMemcpyHostToDevice,
                              stream));
}

int num_eligible(std::span<const StepSequence> sequences) {
  std::size_t count = 0;
  for (const StepSequence& sequence : sequences) count += sequence.query.eligible.size();
  return static_cast<int>(count);
}

/// An address `elements` after `data`.
void* advance(void* data, std::int64_t elements, Storage storage) {
  return static_cast<std::byte*>(data) + elements * element_size(storage);
}

}  // namespace

CudaModel::CudaModel(const ModelShape& shape,
                     DeviceWeights& weights,
                     DeviceCache& cache,
                     Communicator& host,
                     DeviceCommunicator& device,
                     Stream stream)
    : shape_(shape),
      element_(element_of(shape.storage)),
      weights_(weights),
      cache_(cache),
      device_(device),
      stream_(stream),
      gemm_(stream),
      vocabulary_(shape, host),
      plan_(static_cast<std::size_t>(kListBytesPerRow * cache.shape().capacity + kMoreListBytes)) {
  const RotaryTable rotary(shape);
  copy_to_device(cos_, rotary.cos, stream);
  copy_to_device(sin_, rotary.sin, stream);
  const std::int64_t capacity = cache.shape().capacity;
  RUBATO_CUDA(cudaMemsetAsync(
      row_of_.as<std::int32_t>(capacity), 0xff, capacity * sizeof(std::int32_t), stream));
  wait();  // before the tables go
}

void CudaModel::copy(void* to, const void* from, std::int64_t bytes, int kind) {
  if (bytes == 0) return;
  RUBATO_CUDA(cudaMemcpyAsync(
      to, from, static_cast<std::size_t>(bytes), static_cast<cudaMemcpyKind>(kind), stream_));
}

void CudaModel::wait() {
  device_.wait(stream_);
}

CudaModel::DevicePass CudaModel::upload(const PassLists& lists) {
  const DevicePass pass{plan_.add_all(lists.cache_rows),
                        plan_.add_all(lists.positions),
                        plan_.add_all(lists.tokens),
                        plan_.add_all(lists.eligible_rows),
                        plan_.add_all(lists.eligible_cache_rows),
                        plan_.add_all(lists.eligible_out),
                        plan_.add_all(lists.tiles),
                        plan_.add_all(lists.last_tiles)};
  return pass;
}

void CudaModel::reserve(const PassLists& lists) {
  const std::int64_t rows = lists.num_rows(), size = element_size(shape_.storage);
  const std::int64_t d = shape_.d_model, width = shape_.local_head_width();
  const std::int64_t eligible = lists.num_eligible();
  const std::int64_t band = std::min<std::int64_t>(std::max(rows, eligible), kBandRows);
  hidden_.as<std::byte>(rows * d * size);
  compact_.as<std::byte>(eligible * d * size);
  normed_.as<std::byte>(rows * d * size);
  qkv_.as<std::byte>(rows * 3 * width * size);
  attended_.as<std::byte>(rows * width * size);
  partial_.as<float>(rows * d);
  split_parts_.as<float>(lists.partial_queries * shape_.local_heads() * (shape_.head_dim() + 2));
  gate_up_.as<std::byte>(band * 2 * shape_.local_mlp_width() * size);
  activation_.as<std::byte>(band * shape_.local_mlp_width() * size);
  lse_.as<float>(shape_.num_layers * rows * shape_.local_heads());
}

void CudaModel::reuse_pass(std::span<const StepSequence> sequences) {
  plan_.clear();
  const PassLists lists = reuse_lists(sequences);
  sums_ = reuse_sums(sequences, lists, shape_.num_layers, shape_.local_heads());
  window_hidden_.as<std::byte>(std::int64_t{num_eligible(sequences)} * shape_.d_model *
                               element_size(shape_.storage));
  float* sums = device_sums_.as<float>(sums_.size);
  if (sums_.size > 0) RUBATO_CUDA(cudaMemsetAsync(sums, 0, sums_.size * sizeof(float), stream_));
  if (lists.parts.empty()) return;
  reserve(lists);
  const DevicePass pass = upload(lists);
  const bool drift = sums_.num_tracked > 0;
  kept_layers_ = !drift ? 0 : lists.num_rows() <= kMostKeptRows ? shape_.num_layers : 1;
  sum_task_ = sum_task(sums_, drift);
  sum_task_.lse_stride = std::int64_t{lists.num_rows()} * shape_.local_heads();
  sum_task_.old_stride = std::int64_t{lists.num_rows()} * shape_.local_head_width();
  plan_.upload(stream_);
  if (drift) {
    for (Memory* old : {&old_q_, &old_k_})
      old->as<std::byte>(kept_layers_ * sum_task_.old_stride * element_size(shape_.storage));
    sum_task_.old_q = old_q_.bytes(0);
    sum_task_.old_k = old_k_.bytes(0);
    mark_rows(pass.cache_rows, lists.num_rows(), false, row_of_.as<std::int32_t>(0), stream_);
  }
  const int parts = static_cast<int>(lists.parts.size());
  for (int b = 0; b < shape_.num_layers; ++b) {
    if (b == 0) embed(pass, lists.num_rows());
    layer(b, lists, pass, parts, /*joined=*/0);
    if (kept_layers_ == 1) sum_layers(sum_task_, b, 1);
  }
  keep_eligible(lists, pass);
  if (kept_layers_ != 1) sum_layers(sum_task_, 0, shape_.num_layers);
  if (drift)
    mark_rows(pass.cache_rows, lists.num_rows(), true, row_of_.as<std::int32_t>(0), stream_);
  kept_layers_ = 0;
}

SumTask CudaModel::sum_task(const SumLists& lists, bool with_drift) {
  SumTask task;
  task.q = cache_.q(0).data;
  task.k = cache_.k(0).data;
  task.width = shape_.local_head_width();
  task.layer_stride = task.width * cache_.shape().capacity;
  task.row_of = row_of_.as<std::int32_t>(0);
  task.lse = lse_.as<float>(0);
  task.num_tracked_all = lists.num_tracked;
  if (with_drift)
    task.old_lse = old_lse_.as<float>(std::int64_t{shape_.num_layers} * lists.num_tracked *
                                      shape_.local_heads());
  task.jobs = plan_.add_all(lists.jobs);
  task.rows = plan_.add_all(lists.rows);
  task.sums = device_sums_.as<float>(0);
  task.num_jobs = static_cast<int>(lists.jobs.size());
  task.most_keys = lists.most_keys;
  task.most_tracked = lists.most_tracked;
  task.model_layers = shape_.num_layers;
  task.heads = shape_.local_heads();
  task.head_dim = shape_.head_dim();
  task.any_mass = lists.any_mass;
  task.any_heads = lists.any_heads;
  task.any_rows = lists.any_rows;
  return task;
}

void CudaModel::sum_layers(SumTask task, int first_layer, int num_layers) {
  task.first_layer = first_layer;
  task.num_layers = num_layers;
  sum_attention(task, element_, stream_);
}

void CudaModel::embed(const DevicePass& pass, int rows) {
  const std::int64_t count = std::int64_t{rows} * shape_.d_model;
  RUBATO_CUDA(cudaMemsetAsync(hidden_.bytes(0), 0, count * element_size(shape_.storage), stream_));
  cuda::embed(weights_.embedding.bytes(0),
              pass.tokens,
              shape_.first_vocabulary_id(),
              shape_.local_vocabulary(),
              rows,
              shape_.d_model,
              partial_.as<float>(count),
              element_,
              stream_);
  device_.all_reduce_sum(partial_.as<float>(0), count, stream_);  // all ranks but one add 0
}

void CudaModel::layer(
    int b, const PassLists& lists, const DevicePass& pass, int parts, int joined) {
  const int rows = lists.parts[parts - 1].first_row + lists.parts[parts - 1].num_rows;
  // Those who join at this layer stand last; their projections are in the cache.
  project(b, pass, joined == 0 ? rows : lists.parts[parts - joined].first_row);
  attend(b, lists, pass, parts);
  mlp(b, add_attention(b, lists, pass, rows));
}

void CudaModel::project(int b, const DevicePass& pass, int rows) {
  if (rows == 0) return;
  DeviceLayer& w = weights_.layers[b];
  residual_norm({.hidden = hidden_.bytes(0),
                 .delta = partial_.as<float>(0),
                 .weight = w.attn_norm.as<float>(0),
                 .normed = normed_.bytes(0),
                 .x = cache_.x(b),
                 .cache_rows = pass.cache_rows,
                 .first_column = shape_.tp_rank * shape_.local_hidden_width(),
                 .rows = rows,
                 .width = shape_.d_model,
                 .eps = static_cast<float>(shape_.rms_norm_eps)},
                element_,
                stream_);
  const int width = shape_.local_head_width();
  gemm_.run(normed_.bytes(0),
            w.qkv.bytes(0),
            qkv_.bytes(0),
            rows,
            3 * width,
            shape_.d_model,
            element_,
            element_);
  RopeScatter rope{.qkv = qkv_.bytes(0),
                   .positions = pass.positions,
                   .cache_rows = pass.cache_rows,
                   .cos = cos_.as<float>(0),
                   .sin = sin_.as<float>(0),
                   .q = cache_.q(b),
                   .k = cache_.k(b),
                   .v = cache_.v(b),
                   .rows = rows,
                   .heads = shape_.local_heads(),
                   .head_dim = shape_.head_dim()};
  if (kept_layers_ > 0) {
    const std::int64_t at = b % kept_layers_ * sum_task_.old_stride;
    rope.old_q = advance(old_q_.bytes(0), at, shape_.storage);
    rope.old_k = advance(old_k_.bytes(0), at, shape_.storage);
  }
  rope_scatter(rope, element_, stream_);
}

void CudaModel::attend(int b, const PassLists& lists, const DevicePass& pass, int parts) {
  // After a refresh's last layer only the eligible rows are read; a reuse pass still needs its
  // tracked rows' attention there.
  const bool eligible_only = !lists.reuse && b + 1 == shape_.num_layers;
  cuda::attend(
      {.q = cache_.q(b),
       .k = cache_.k(b),
       .v = cache_.v(b),
       .query_rows = eligible_only ? pass.eligible_cache_rows : pass.cache_rows,
       .tiles = eligible_only ? pass.last_tiles : pass.tiles,
       .num_tiles =
           eligible_only ? static_cast<int>(lists.last_tiles.size()) : lists.tiles_end[parts - 1],
       .most_splits = eligible_only ? lists.last_most_splits : lists.most_splits,
       .heads = shape_.local_heads(),
       .head_dim = shape_.head_dim(),
       .out = attended_.bytes(0),
       .lse = lse_.as<float>(0) + std::int64_t{b} * lists.num_rows() * shape_.local_heads(),
       .partial = split_parts_.as<float>(0)},
      element_,
      stream_);
}

void CudaModel::row_parallel(
    const void* x, Memory& weight, int rows, std::int64_t k, int first_row) {
  float* out = partial_.as<float>(0) + std::int64_t{first_row} * shape_.d_model;
  gemm_.run(x, weight.bytes(0), out, rows, shape_.d_model, k, element_, Element::kFloat32);
}

/// Attention's output into hidden, then the norm of the MLP. Returns how many rows go on.
int CudaModel::add_attention(int b, const PassLists& lists, const DevicePass& pass, int rows) {
  const bool last = b + 1 == shape_.num_layers;
  const int attended = last && !lists.reuse ? lists.num_eligible() : rows;
  row_parallel(
      attended_.bytes(0), weights_.layers[b].attn_out, attended, shape_.local_head_width(), 0);
  device_.all_reduce_sum(partial_.as<float>(0), std::int64_t{attended} * shape_.d_model, stream_);
  ResidualNorm norm{.hidden = hidden_.bytes(0),
                    .delta = partial_.as<float>(0),
                    .weight = weights_.layers[b].ff_norm.as<float>(0),
                    .normed = normed_.bytes(0),
                    .x = {},
                    .cache_rows = nullptr,
                    .first_column = 0,
                    .rows = rows,
                    .width = shape_.d_model,
                    .eps = static_cast<float>(shape_.rms_norm_eps)};
  if (last) {
    gather_sums({.hidden = hidden_.bytes(0),
                 .delta = partial_.as<float>(0),
                 .out = compact_.bytes(0),
                 .hidden_rows = pass.eligible_rows,
                 .delta_rows = lists.reuse ? pass.eligible_rows : nullptr,
                 .out_rows = nullptr,
                 .count = lists.num_eligible(),
                 .width = shape_.d_model},
                element_,
                stream_);
    norm.hidden = compact_.bytes(0);
    norm.delta = nullptr;
    norm.rows = lists.num_eligible();
  }
  residual_norm(norm, element_, stream_);
  return norm.rows;
}

void CudaModel::mlp(int b, int rows) {
  DeviceLayer& w = weights_.layers[b];
  const std::int64_t d = shape_.d_model, width = shape_.local_mlp_width();
  for (int first = 0; first < rows; first += kBandRows) {
    const int count = std::min(kBandRows, rows - first);
    gemm_.run(advance(normed_.bytes(0), first * d, shape_.storage),
              w.gate_up.bytes(0),
              gate_up_.bytes(0),
              count,
              2 * width,
              d,
              element_,
              element_);
    swiglu(
        gate_up_.bytes(0), count, static_cast<int>(width), activation_.bytes(0), element_, stream_);
    row_parallel(activation_.bytes(0), w.down, count, width, first);
  }
  device_.all_reduce_sum(partial_.as<float>(0), rows * d, stream_);
}

void CudaModel::keep_eligible(const PassLists& lists, const DevicePass& pass) {
  gather_sums({.hidden = compact_.bytes(0),
               .delta = partial_.as<float>(0),
               .out = window_hidden_.bytes(0),
               .hidden_rows = nullptr,
               .delta_rows = nullptr,
               .out_rows = pass.eligible_out,
               .count = lists.num_eligible(),
               .width = shape_.d_model},
              element_,
              stream_);
}

std::vector<std::vector<double>> CudaModel::reduce(std::span<const StepSequence> sequences) {
  std::vector<std::vector<double>> answer(sequences.size());
  if (sums_.jobs.empty()) return answer;
  device_.all_reduce_sum(device_sums_.as<float>(0), sums_.size, stream_);
  if (sums_.num_tracked == 0) return answer;
  const std::int64_t count = std::ssize(sums_.jobs) * shape_.num_layers;
  cuda::similarity({.jobs = sum_task_.jobs,
                    .sums = device_sums_.as<float>(0),
                    .num_jobs = sum_task_.num_jobs,
                    .num_layers = shape_.num_layers,
                    .num_heads = shape_.num_heads,
                    .similarity = similarity_.as<double>(count)},
                   stream_);
  const double* similar = host_similarity_.as<double>(count);
  copy(host_similarity_.bytes(0),
       similarity_.bytes(0),
       count * sizeof(double),
       cudaMemcpyDeviceToHost);
  wait();
  for (std::size_t job = 0; job < sums_.jobs.size(); ++job, similar += shape_.num_layers) {
    if (sums_.jobs[job].num_tracked > 0)
      answer[sums_.sequence_of_job[job]].assign(similar, similar + shape_.num_layers);
  }
  return answer;
}

void CudaModel::gather_hidden(int b, const StepSequence& sequence, const PassPart& part) {
  const std::int64_t width = shape_.local_hidden_width(), rows = part.num_rows;
  const std::int64_t bytes = rows * width * element_size(shape_.storage);
  void* to =
      advance(hidden_.bytes(0), std::int64_t{part.first_row} * shape_.d_model, shape_.storage);
  const void* mine = cache_.x_row(b, sequence.slot_begin);
  if (shape_.tp_size == 1) {
    copy(to, mine, bytes, cudaMemcpyDeviceToDevice);
    return;
  }
  void* all = gathered_x_.as<std::byte>(bytes * shape_.tp_size);
  device_.all_gather(mine, all, bytes, stream_);
  interleave(
      all, shape_.tp_size, static_cast<int>(rows), static_cast<int>(width), to, element_, stream_);
}

void CudaModel::refresh(std::span<const StepSequence> sequences, std::span<const int> boundaries) {
  const PassLists lists = refresh_lists(sequences, boundaries, shape_.num_layers);
  if (lists.parts.empty()) return;
  reserve(lists);
  const DevicePass pass = upload(lists);
  const SumLists sums = refresh_sums(sequences, lists, sums_);
  SumTask task = sum_task(sums, /*with_drift=*/false);
  task.lse_stride = std::int64_t{lists.num_rows()} * shape_.local_heads();
  plan_.upload(stream_);
  std::size_t parts = 0;
  for (int b = 0; b < shape_.num_layers; ++b) {
    const std::size_t before = parts;
    while (parts < lists.parts.size() && lists.parts[parts].boundary == b) {
      if (b > 0) gather_hidden(b, sequences[lists.parts[parts].index], lists.parts[parts]);
      ++parts;
    }
    if (parts == 0) continue;
    if (b == 0) embed(pass, lists.parts[parts - 1].first_row + lists.parts[parts - 1].num_rows);
    layer(b, lists, pass, static_cast<int>(parts), b == 0 ? 0 : static_cast<int>(parts - before));
  }
  keep_eligible(lists, pass);
  if (sums.jobs.empty()) return;
  const int first = lists.parts.front().boundary;
  sum_layers(task, first, shape_.num_layers - first);
  for (const SumJob& job : sums.jobs) {
    device_.all_reduce_sum(task.sums + job.mass + std::int64_t{job.first_layer} * job.num_keys,
                           std::int64_t{shape_.num_layers - job.first_layer} * job.num_keys,
                           stream_);
  }
}

void CudaModel::compute_logits(std::span<const StepSequence> sequences) {
  const int rows = num_eligible(sequences);
  const std::int64_t d = shape_.d_model, width = shape_.local_vocabulary();
  residual_norm({.hidden = window_hidden_.bytes(0),
                 .delta = nullptr,
                 .weight = weights_.final_norm.as<float>(0),
                 .normed = normed_.as<std::byte>(rows * d * element_size(shape_.storage)),
                 .x = {},
                 .cache_rows = nullptr,
                 .first_column = 0,
                 .rows = rows,
                 .width = shape_.d_model,
                 .eps = static_cast<float>(shape_.rms_norm_eps)},
                element_,
                stream_);
  gemm_.run(normed_.bytes(0),
            weights_.head.bytes(0),
            logits_.as<float>(rows * width),
            rows,
            width,
            d,
            element_,
            Element::kFloat32);
  const std::vector<LogitChange> changes = logit_changes(sequences, shape_);
  auto* host = host_changes_.as<LogitChange>(std::ssize(changes));
  auto* device = changes_.as<LogitChange>(std::ssize(changes));
  std::ranges::copy(changes, host);
  copy(device, host, changes.size() * sizeof(LogitChange), cudaMemcpyHostToDevice);
  finish_logits(logits_.as<float>(0),
                rows * width,
                static_cast<int>(width),
                device,
                static_cast<int>(changes.size()),
                element_,
                stream_);
}

std::vector<std::vector<Candidate>> CudaModel::candidates(std::span<const StepSequence> sequences,
                                                          TokenId mask_id) {
  const std::vector<RowQuestion> questions = row_questions(sequences);
  const std::int64_t rows = std::ssize(questions);
  const std::vector<TopRow> top = top_rows(sequences);
  int most = 0;
  for (const TopRow& row : top) most = std::max(most, row.count);
  const std::int64_t described = rows * vocabulary_.numbers_per_row();
  const std::int64_t count = vocabulary_.num_numbers(sequences);
  const int num_top = static_cast<int>(top.size()), width = shape_.local_vocabulary();
  double* scratch = vocabulary_scratch_.as<double>(
      std::max(vocabulary_scratch_size(static_cast<int>(rows), vocabulary_.groups()),
               top_scratch_size(num_top, most, width)));
  double* numbers = numbers_.as<double>(count);
  const RowQuestion* device_questions = plan_.add_all(questions);
  const TopRow* device_top = plan_.add_all(top);
  plan_.upload(stream_);
  describe_vocabulary({.logits = logits_.as<float>(0),
                       .questions = device_questions,
                       .rows = static_cast<int>(rows),
                       .width = width,
                       .groups = vocabulary_.groups(),
                       .first_id = shape_.first_vocabulary_id(),
                       .mask_id = mask_id,
                       .scratch = scratch,
                       .numbers = numbers},
                      stream_);
  find_top_logits({.logits = logits_.as<float>(0),
                   .rows = device_top,
                   .num_rows = num_top,
                   .most = most,
                   .width = width,
                   .first_id = shape_.first_vocabulary_id(),
                   .scratch = scratch,
                   .pairs = numbers + described},
                  stream_);
  std::vector<double> gathered(count * shape_.tp_size);
  const auto bytes = count * static_cast<std::int64_t>(sizeof(double));
  auto* all = all_numbers_.as<double>(std::ssize(gathered));
  device_.all_gather(numbers, all, bytes, stream_);
  auto* host = host_numbers_.as<double>(std::ssize(gathered));
  copy(host, all, bytes * shape_.tp_size, cudaMemcpyDeviceToHost);
  if (shape_.tp_rank == 0)  // which decides what is tracked
    copy(host_sums_.as<float>(sums_.all_mass),
         device_sums_.bytes(0),
         sums_.all_mass * sizeof(float),
         cudaMemcpyDeviceToHost);
  host_logits_.start(logits_.as<float>(0),
                     shape_.local_vocabulary(),
                     VocabularyStatistics::whole_rows(sequences),
                     stream_);
  wait();
  std::copy_n(host, gathered.size(), gathered.begin());
  return vocabulary_.merge(sequences, std::move(gathered), [this](std::int64_t row) {
    return host_logits_.row(row, [this] { wait(); });
  });
}

std::span<const float> CudaModel::attention_mass(int sequence) {
  return {host_sums_.as<float>(0) + sums_.mass_begin[sequence],
          static_cast<std::size_t>(sums_.mass_size[sequence])};
}

std::int64_t CudaModel::scratch_bytes(const ModelShape& shape, std::int64_t cache_rows) {
  const std::int64_t d = shape.d_model, width = shape.local_head_width(),
                     size = element_size(shape.storage);
  const std::int64_t band = std::min<std::int64_t>(cache_rows, kBandRows);
  const std::int64_t row = (2 * d + 4 * width) * size + 4 * d + kListBytesPerRow +
                           4 * std::int64_t{shape.num_layers} * shape.local_heads() +
                           4 * (width + 2 * shape.local_heads());  // the last: split_parts_
  const std::int64_t kept = 2 * shape.num_layers * kMostKeptRows * width * size;
  const std::int64_t logits = 1024 * std::int64_t{shape.local_vocabulary()} * 4;
  return cache_rows * row + band * 3 * shape.local_mlp_width() * size + kept + logits;
}

}  // namespace rubato::cuda
