#include "runtime/model/cuda/step_sums.h"

#include <algorithm>

#include "parallel/cuda/cuda_check.h"

namespace rubato::cuda {
namespace {

constexpr int kMostKeptRows = 1024;  // above, a pass's sums are made layer by layer

/// The most sequences in a step: what engine.max_sequences allows.
constexpr std::int64_t kMostSequences = 4096;

/// The sizes of the scratch.
struct SumSizes {
  std::int64_t old = 0;                 // elements, of each of old_q and old_k
  std::int64_t old_lse = 0;             // floats
  std::int64_t mass = 0, all_sums = 0;  // floats
  std::int64_t similarity = 0;          // doubles
};

SumSizes sum_sizes(const ModelShape& shape, std::int64_t rows, std::int64_t drift_bytes) {
  const std::int64_t layers = shape.num_layers, heads = shape.local_heads();
  const std::int64_t kept =  // in one layer, where they are many
      std::max(rows, layers * std::min<std::int64_t>(rows, kMostKeptRows));
  // Under the `rows` measure a sequence has one sum for each head, however few its keys are.
  const std::int64_t drift = drift_bytes / static_cast<std::int64_t>(sizeof(float)) +
                             std::min(rows, kMostSequences) * layers * heads;
  return {.old = kept * shape.local_head_width(),
          .old_lse = layers * rows * heads,
          .mass = layers * rows,
          .all_sums = layers * rows + drift,
          .similarity = layers * rows};
}

}  // namespace

StepSums::StepSums(Context& context, std::int64_t rows, std::int64_t drift_bytes)
    : context_(context), shape_(context.shape) {
  const SumSizes sizes = sum_sizes(shape_, rows, drift_bytes);
  old_q_.bytes(context.bytes(sizes.old));
  old_k_.bytes(context.bytes(sizes.old));
  old_lse_.as<float>(sizes.old_lse);
  sums_.as<float>(sizes.all_sums);
  similarity_.as<double>(sizes.similarity);
  host_similarity_.as<double>(sizes.similarity);
  if (shape_.tp_rank == 0) host_mass_.as<float>(sizes.mass);
  const std::int64_t capacity = context.cache.shape().capacity;
  RUBATO_CUDA(cudaMemsetAsync(
      row_of_.as<std::int32_t>(capacity), 0xff, capacity * sizeof(std::int32_t), context.stream));
}

void StepSums::begin(SumLists lists) {
  lists_ = std::move(lists);
  refresh_lists_ = {};
  old_ = {};
  float* sums = sums_.as<float>(lists_.size);
  if (lists_.all_mass > 0)
    RUBATO_CUDA(cudaMemsetAsync(sums, 0, lists_.all_mass * sizeof(float), context_.stream));
}

void StepSums::prepare(const PassLists& reuse, const DevicePass& pass, const float* lse) {
  task_ = task_of(lists_, reuse, lse);
  if (lists_.num_tracked == 0) return;
  pass_rows_ = pass.cache_rows;
  num_pass_rows_ = reuse.num_rows();
  old_.layers = reuse.num_rows() <= kMostKeptRows ? shape_.num_layers : 1;
  old_.stride = std::int64_t{reuse.num_rows()} * shape_.local_head_width();
  old_.q = old_q_.as<std::byte>(context_.bytes(old_.layers * old_.stride));
  old_.k = old_k_.as<std::byte>(context_.bytes(old_.layers * old_.stride));
  task_.old_q = old_.q;
  task_.old_k = old_.k;
  task_.old_stride = old_.stride;
  task_.old_lse = old_lse_.as<float>(std::int64_t{shape_.num_layers} * lists_.num_tracked *
                                     shape_.local_heads());
}

void StepSums::before_pass() {
  if (old_.q != nullptr)
    mark_rows(pass_rows_, num_pass_rows_, false, row_of_.as<std::int32_t>(0), context_.stream);
}

void StepSums::after_layer(int b) {
  if (old_.layers == 1) sum(task_, b, 1);
}

void StepSums::after_pass() {
  if (old_.layers != 1) sum(task_, 0, shape_.num_layers);
  if (old_.q != nullptr)
    mark_rows(pass_rows_, num_pass_rows_, true, row_of_.as<std::int32_t>(0), context_.stream);
}

SumTask StepSums::task_of(const SumLists& lists, const PassLists& pass, const float* lse) {
  SumTask task;
  task.q = context_.cache.q(0).data;
  task.k = context_.cache.k(0).data;
  task.width = shape_.local_head_width();
  task.layer_stride = task.width * context_.cache.shape().capacity;
  task.row_of = row_of_.as<std::int32_t>(0);
  task.lse = lse;
  task.lse_stride = std::int64_t{pass.num_rows()} * shape_.local_heads();
  task.num_tracked_all = lists.num_tracked;
  task.jobs = context_.plan.add_all(lists.jobs);
  task.rows = context_.plan.add_all(lists.rows);
  task.sums = sums_.as<float>(0);
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

void StepSums::sum(SumTask task, int first_layer, int num_layers) {
  task.first_layer = first_layer;
  task.num_layers = num_layers;
  sum_attention(task, context_.element, context_.stream);
}

std::vector<std::vector<double>> StepSums::reduce(std::size_t num_sequences) {
  std::vector<std::vector<double>> answer(num_sequences);
  if (lists_.jobs.empty()) return answer;
  context_.device.all_reduce_sum(sums_.as<float>(0), lists_.size, context_.stream);
  if (lists_.num_tracked == 0) return answer;
  const std::int64_t num_jobs = std::ssize(lists_.sequence_of_job);
  const std::int64_t count = num_jobs * shape_.num_layers;
  similarity({.jobs = task_.jobs,
              .sums = sums_.as<float>(0),
              .num_jobs = static_cast<int>(num_jobs),
              .num_layers = shape_.num_layers,
              .num_heads = shape_.num_heads,
              .similarity = similarity_.as<double>(count)},
             context_.stream);
  const double* similar = host_similarity_.as<double>(count);
  context_.copy_to_host(host_similarity_.bytes(0), similarity_.bytes(0), count * sizeof(double));
  context_.wait();
  for (std::int64_t job = 0; job < num_jobs; ++job, similar += shape_.num_layers) {
    if (lists_.jobs[job].num_tracked > 0)
      answer[lists_.sequence_of_job[job]].assign(similar, similar + shape_.num_layers);
  }
  return answer;
}

void StepSums::prepare_refresh(std::span<const StepSequence> sequences,
                               const PassLists& refresh,
                               const float* lse) {
  refresh_lists_ = refresh_sums(sequences, refresh, lists_);
  refresh_task_ = task_of(refresh_lists_, refresh, lse);
  refresh_boundary_ = refresh.parts.front().boundary;
}

void StepSums::sum_refresh() {
  if (refresh_lists_.jobs.empty()) return;
  sum(refresh_task_, refresh_boundary_, shape_.num_layers - refresh_boundary_);
  for (const SumJob& job : refresh_lists_.jobs) {
    const std::int64_t first = job.mass + std::int64_t{job.first_layer} * job.num_keys;
    const std::int64_t layers = shape_.num_layers - job.first_layer;
    context_.device.all_reduce_sum(
        refresh_task_.sums + first, layers * job.num_keys, context_.stream);
  }
}

void StepSums::copy_mass_to_host() {
  if (shape_.tp_rank != 0) return;
  context_.copy_to_host(host_mass_.as<float>(lists_.all_mass),
                        sums_.bytes(0),
                        lists_.all_mass * static_cast<std::int64_t>(sizeof(float)));
}

std::span<const float> StepSums::mass(int sequence) {
  return {host_mass_.as<float>(0) + lists_.mass_begin[sequence],
          static_cast<std::size_t>(lists_.mass_size[sequence])};
}

std::int64_t StepSums::scratch_bytes(const ModelShape& shape,
                                     std::int64_t rows,
                                     std::int64_t drift_bytes) {
  const SumSizes sizes = sum_sizes(shape, rows, drift_bytes);
  return 2 * sizes.old * element_size(shape.storage) +
         (sizes.old_lse + sizes.all_sums) * static_cast<std::int64_t>(sizeof(float)) +
         sizes.similarity * static_cast<std::int64_t>(sizeof(double));
}

}  // namespace rubato::cuda
