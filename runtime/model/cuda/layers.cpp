#include "runtime/model/cuda/layers.h"

#include <algorithm>
#include <bit>

#include "parallel/cuda/cuda_check.h"
#include "runtime/model/cuda/pass_bucket.h"
#include "runtime/model/rotary.h"

namespace rubato::cuda {
namespace {

constexpr int kBandRows = 2048;  // of the MLP at a time: its scratch is the widest

/// How many parts of queries a pass of that many rows of canvases can leave to be joined. Of a
/// canvas that is split, up to as many rows are as a split has keys (pass_lists.cpp), which leaves
/// up to its length and that number; in a bucket each row counts as split as often as any.
std::int64_t most_partial_queries(const ModelShape& shape, std::int64_t rows) {
  const std::int64_t canvas = std::min<std::int64_t>(rows, shape.max_positions);
  const auto splits = static_cast<std::uint64_t>((canvas + kSplitKeys - 1) / kSplitKeys);
  return std::max(2 * rows, static_cast<std::int64_t>(kMostBucketRows * std::bit_ceil(splits)));
}

/// The sizes of the scratch, in elements.
struct LayerSizes {
  std::int64_t hidden = 0;  // each of hidden_, compact_, normed_, partial_
  std::int64_t qkv = 0, attended = 0, gathered = 0, activation = 0;
  std::int64_t partial_queries = 0, lse = 0;
};

LayerSizes layer_sizes(const ModelShape& shape, std::int64_t rows) {
  const std::int64_t width = shape.local_head_width(), heads = shape.local_heads();
  return {.hidden = rows * shape.d_model,
          .qkv = rows * 3 * width,
          .attended = rows * width,
          .gathered = shape.tp_size > 1 ? rows * shape.d_model : 0,
          .activation = std::min<std::int64_t>(rows, kBandRows) * shape.local_mlp_width(),
          .partial_queries = most_partial_queries(shape, rows),
          .lse = shape.num_layers * rows * heads};
}

}  // namespace

Layers::Layers(Context& context, std::int64_t rows) : context_(context), shape_(context.shape) {
  const LayerSizes sizes = layer_sizes(shape_, rows);
  for (Memory* memory : {&hidden_, &compact_, &normed_}) memory->bytes(context.bytes(sizes.hidden));
  qkv_.bytes(context.bytes(sizes.qkv));
  attended_.bytes(context.bytes(sizes.attended));
  gathered_x_.bytes(context.bytes(sizes.gathered));
  gate_up_.bytes(context.bytes(2 * sizes.activation));
  activation_.bytes(context.bytes(sizes.activation));
  partial_.as<float>(sizes.hidden);
  split_out_.as<float>(sizes.partial_queries * shape_.local_head_width());
  split_stats_.as<float>(sizes.partial_queries * shape_.local_heads() * 2);
  lse_.as<float>(sizes.lse);
  const RotaryTable rotary(shape_);
  for (const auto& [to, from] : {std::pair{&cos_, &rotary.cos}, {&sin_, &rotary.sin}}) {
    const std::int64_t count = std::ssize(*from);
    context.copy_to_device(to->as<float>(count), from->data(), count * sizeof(float));
  }
  context.wait();  // before the tables go
}

DevicePass Layers::upload(const PassLists& lists) {
  check_room(lists);
  const DevicePass pass{context_.plan.add_all(lists.cache_rows),
                        context_.plan.add_all(lists.positions),
                        context_.plan.add_all(lists.tokens),
                        context_.plan.add_all(lists.eligible_rows),
                        context_.plan.add_all(lists.eligible_cache_rows),
                        context_.plan.add_all(lists.eligible_out),
                        context_.plan.add_all(lists.tiles),
                        context_.plan.add_all(lists.last_tiles)};
  return pass;
}

/// The lists of a pass decide how far its kernels write.
void Layers::check_room(const PassLists& lists) {
  const std::int64_t rows = std::max(lists.num_rows(), lists.num_eligible());
  hidden_.bytes(context_.bytes(rows * shape_.d_model));
  split_out_.as<float>(lists.partial_queries * shape_.local_head_width());
}

void Layers::embed(const DevicePass& pass, int rows) {
  const std::int64_t count = std::int64_t{rows} * shape_.d_model;
  RUBATO_CUDA(cudaMemsetAsync(hidden_.bytes(0), 0, context_.bytes(count), context_.stream));
  cuda::embed(context_.weights.embedding.bytes(0),
              pass.tokens,
              shape_.first_vocabulary_id(),
              shape_.local_vocabulary(),
              rows,
              shape_.d_model,
              partial_.as<float>(count),
              context_.element,
              context_.stream);
  context_.device.all_reduce_sum(
      partial_.as<float>(0), count, context_.stream);  // all but one add 0
}

void Layers::gather_hidden(int b, std::int64_t slot_begin, const PassPart& part) {
  const std::int64_t width = shape_.local_hidden_width(), rows = part.num_rows;
  const std::int64_t bytes = context_.bytes(rows * width);
  void* to = context_.after(hidden_.bytes(0), std::int64_t{part.first_row} * shape_.d_model);
  const void* mine = context_.cache.x_row(b, slot_begin);
  if (shape_.tp_size == 1) {
    context_.device.all_gather(mine, to, bytes, context_.stream);
    return;
  }
  void* all = gathered_x_.as<std::byte>(bytes * shape_.tp_size);
  context_.device.all_gather(mine, all, bytes, context_.stream);
  interleave(all,
             shape_.tp_size,
             static_cast<int>(rows),
             static_cast<int>(width),
             to,
             context_.element,
             context_.stream);
}

void Layers::run(int b,
                 const PassLists& lists,
                 const DevicePass& pass,
                 const LayerRows& layer,
                 const OldRows& old) {
  project(b, pass, layer.projected, old);
  attend(b, lists, pass, layer.tiles);
  mlp(b, add_attention(b, lists, pass, layer.rows));
}

void Layers::project(int b, const DevicePass& pass, int rows, const OldRows& old) {
  if (rows == 0) return;
  DeviceLayer& w = context_.weights.layers[b];
  residual_norm({.hidden = hidden_.bytes(0),
                 .delta = partial_.as<float>(0),
                 .weight = w.attn_norm.as<float>(0),
                 .normed = normed_.bytes(0),
                 .x = context_.cache.x(b),
                 .cache_rows = pass.cache_rows,
                 .first_column = shape_.tp_rank * shape_.local_hidden_width(),
                 .rows = rows,
                 .width = shape_.d_model,
                 .eps = static_cast<float>(shape_.rms_norm_eps)},
                context_.element,
                context_.stream);
  context_.products.run(normed_.bytes(0), w.qkv, qkv_.bytes(0), rows, context_.element);
  RopeScatter rope{.qkv = qkv_.bytes(0),
                   .positions = pass.positions,
                   .cache_rows = pass.cache_rows,
                   .cos = cos_.as<float>(0),
                   .sin = sin_.as<float>(0),
                   .q = context_.cache.q(b),
                   .k = context_.cache.k(b),
                   .v = context_.cache.v(b),
                   .rows = rows,
                   .heads = shape_.local_heads(),
                   .head_dim = shape_.head_dim()};
  if (old.q != nullptr) {
    rope.old_q = context_.after(old.q, b % old.layers * old.stride);
    rope.old_k = context_.after(old.k, b % old.layers * old.stride);
  }
  rope_scatter(rope, context_.element, context_.stream);
}

void Layers::attend(int b, const PassLists& lists, const DevicePass& pass, int tiles) {
  // After a refresh's last layer only the eligible rows are read; a reuse pass still needs its
  // tracked rows' attention there.
  const bool eligible_only = !lists.reuse && b + 1 == shape_.num_layers;
  cuda::attend(
      {.q = context_.cache.q(b),
       .k = context_.cache.k(b),
       .v = context_.cache.v(b),
       .query_rows = eligible_only ? pass.eligible_cache_rows : pass.cache_rows,
       .tiles = eligible_only ? pass.last_tiles : pass.tiles,
       .num_tiles = eligible_only ? static_cast<int>(lists.last_tiles.size()) : tiles,
       .most_splits = eligible_only ? lists.last_most_splits : lists.most_splits,
       .heads = shape_.local_heads(),
       .head_dim = shape_.head_dim(),
       .out = attended_.bytes(0),
       .lse = lse_.as<float>(0) + std::int64_t{b} * lists.num_rows() * shape_.local_heads(),
       .split_out = split_out_.as<float>(0),
       .split_stats = split_stats_.as<float>(0)},
      context_.element,
      context_.stream);
}

void Layers::row_parallel(const void* x, DeviceMatrix& weight, int rows, int first_row) {
  float* out = partial_.as<float>(0) + std::int64_t{first_row} * shape_.d_model;
  context_.products.run(x, weight, out, rows, Element::kFloat32);
}

/// Attention's output into hidden, then the norm of the MLP. Returns how many rows go on.
int Layers::add_attention(int b, const PassLists& lists, const DevicePass& pass, int rows) {
  const bool last = b + 1 == shape_.num_layers;
  const int attended = last && !lists.reuse ? lists.num_eligible() : rows;
  row_parallel(attended_.bytes(0), context_.weights.layers[b].attn_out, attended, 0);
  context_.device.all_reduce_sum(
      partial_.as<float>(0), std::int64_t{attended} * shape_.d_model, context_.stream);
  ResidualNorm norm{.hidden = hidden_.bytes(0),
                    .delta = partial_.as<float>(0),
                    .weight = context_.weights.layers[b].ff_norm.as<float>(0),
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
                context_.element,
                context_.stream);
    norm.hidden = compact_.bytes(0);
    norm.delta = nullptr;
    norm.rows = lists.num_eligible();
  }
  residual_norm(norm, context_.element, context_.stream);
  return norm.rows;
}

void Layers::mlp(int b, int rows) {
  DeviceLayer& w = context_.weights.layers[b];
  const std::int64_t d = shape_.d_model, width = shape_.local_mlp_width();
  for (int first = 0; first < rows; first += kBandRows) {
    const int count = std::min(kBandRows, rows - first);
    context_.products.run(context_.after(normed_.bytes(0), first * d),
                          w.gate_up,
                          gate_up_.bytes(0),
                          count,
                          context_.element);
    swiglu(gate_up_.bytes(0),
           count,
           static_cast<int>(width),
           activation_.bytes(0),
           context_.element,
           context_.stream);
    row_parallel(activation_.bytes(0), w.down, count, first);
  }
  context_.device.all_reduce_sum(partial_.as<float>(0), rows * d, context_.stream);
}

void Layers::keep_eligible(const PassLists& lists, const DevicePass& pass, void* window_hidden) {
  gather_sums({.hidden = compact_.bytes(0),
               .delta = partial_.as<float>(0),
               .out = window_hidden,
               .hidden_rows = nullptr,
               .delta_rows = nullptr,
               .out_rows = pass.eligible_out,
               .count = lists.num_eligible(),
               .width = shape_.d_model},
              context_.element,
              context_.stream);
}

std::int64_t Layers::scratch_bytes(const ModelShape& shape, std::int64_t rows) {
  const LayerSizes sizes = layer_sizes(shape, rows);
  const std::int64_t elements =
      3 * sizes.hidden + sizes.qkv + sizes.attended + sizes.gathered + 3 * sizes.activation;
  const std::int64_t partial =
      sizes.partial_queries * (shape.local_head_width() + 2 * shape.local_heads());
  const std::int64_t floats = sizes.hidden + partial + sizes.lse;
  return elements * element_size(shape.storage) + floats * static_cast<std::int64_t>(sizeof(float));
}

}  // namespace rubato::cuda
