#include "runtime/model/cuda/cuda_model.h"

#include <algorithm>

#include "runtime/model/eligible_part.h"

namespace rubato::cuda {
namespace {

/// Of a step's passes: the caches' or a bucket's.
std::int64_t most_rows(const StepBounds& bounds) {
  return std::max<std::int64_t>(bounds.cache_rows, kMostBucketRows);
}

}  // namespace

CudaModel::CudaModel(const ModelShape& shape,
                     DeviceWeights& weights,
                     DeviceCache& cache,
                     Communicator& host,
                     DeviceCommunicator& device,
                     Stream stream,
                     const StepBounds& bounds,
                     bool graphs)
    : context_(shape, weights, cache, device, stream),
      layers_(context_, most_rows(bounds)),
      sums_(context_, most_rows(bounds), bounds.drift_bytes),
      head_(context_, host, most_rows(bounds), bounds.head_rows) {
  RUBATO_CHECK(bounds.cache_rows == cache.shape().capacity);
  if (graphs && device.can_be_captured()) graphs_.emplace(stream, host);
}

void CudaModel::reuse_pass(std::span<const StepSequence> sequences) {
  context_.plan.clear();
  PassLists lists = reuse_lists(sequences);
  SumLists sums =
      reuse_sums(sequences, lists, context_.shape.num_layers, context_.shape.local_heads());
  // With graphs or without: what a product of matrices gives may depend on the number of rows.
  const std::optional<PassBucket> bucket = bucket_of(lists, sums);
  if (bucket) fill_up(*bucket, lists, sums);
  sums_.begin(std::move(sums));
  if (lists.parts.empty()) return;
  const DevicePass pass = layers_.upload(lists);
  sums_.prepare(lists, pass, layers_.lse());
  context_.plan.upload(context_.stream);
  // All that differs between passes of a bucket has been uploaded by now, to places that do not.
  const auto enqueue = [&] { run_reuse(lists, pass); };
  if (graphs_ && bucket) {
    graphs_->run(*bucket, enqueue);
  } else {
    enqueue();
  }
}

void CudaModel::run_reuse(const PassLists& lists, const DevicePass& pass) {
  const int rows = lists.num_rows();
  const LayerRows all{rows, rows, static_cast<int>(lists.tiles.size())};
  sums_.before_pass();
  layers_.embed(pass, rows);
  for (int b = 0; b < context_.shape.num_layers; ++b) {
    layers_.run(b, lists, pass, all, sums_.old_rows());
    sums_.after_layer(b);
  }
  layers_.keep_eligible(lists, pass, head_.window_hidden());
  sums_.after_pass();
}

std::vector<std::vector<double>> CudaModel::reduce(std::span<const StepSequence> sequences) {
  return sums_.reduce(sequences.size());
}

void CudaModel::refresh(std::span<const StepSequence> sequences, std::span<const int> boundaries) {
  const int num_layers = context_.shape.num_layers;
  const PassLists lists = refresh_lists(sequences, boundaries, num_layers);
  if (lists.parts.empty()) return;
  const DevicePass pass = layers_.upload(lists);
  sums_.prepare_refresh(sequences, lists, layers_.lse());
  context_.plan.upload(context_.stream);
  std::size_t parts = 0;
  for (int b = lists.parts.front().boundary; b < num_layers; ++b) {
    const std::size_t before = parts;
    for (; parts < lists.parts.size() && lists.parts[parts].boundary == b; ++parts) {
      const PassPart& part = lists.parts[parts];
      if (b > 0) layers_.gather_hidden(b, sequences[part.index].slot_begin, part);
    }
    const int rows = lists.end_row(parts);
    if (b == 0) layers_.embed(pass, rows);
    // Those who join above layer 0 stand last; their projections are in the cache.
    const int projected = b == 0 ? rows : lists.end_row(before);
    layers_.run(b, lists, pass, {rows, projected, lists.tiles_end[parts - 1]}, /*old=*/{});
  }
  layers_.keep_eligible(lists, pass, head_.window_hidden());
  sums_.sum_refresh();
}

void CudaModel::compute_logits(std::span<const StepSequence> sequences) {
  if (num_eligible(sequences) <= head_.rows_at_a_time()) {
    head_.compute_logits(sequences, 0);
  } else {
    head_.compute_logits(eligible_part(sequences, 0, head_.rows_at_a_time()), 0);
  }
}

std::vector<std::vector<Candidate>> CudaModel::candidates(std::span<const StepSequence> sequences,
                                                          TokenId mask_id) {
  auto candidates = candidates_by_part(
      sequences, head_.rows_at_a_time(), [&](std::span<const StepSequence> part, int first) {
        if (first > 0) head_.compute_logits(part, first);
        head_.describe(part, mask_id);
        if (first == 0) sums_.copy_mass_to_host();
        context_.wait();
        return head_.candidates(part);
      });
  context_.device.step_done();
  return candidates;
}

std::span<const float> CudaModel::attention_mass(int sequence) {
  return sums_.mass(sequence);
}

std::int64_t CudaModel::scratch_bytes(const ModelShape& shape, const StepBounds& bounds) {
  const std::int64_t rows = most_rows(bounds);
  return Layers::scratch_bytes(shape, rows) +
         StepSums::scratch_bytes(shape, rows, bounds.drift_bytes) +
         Head::scratch_bytes(shape, rows, bounds.head_rows) + Products::scratch_bytes(shape) +
         Context::scratch_bytes(shape, bounds.cache_rows);
}

}  // namespace rubato::cuda
