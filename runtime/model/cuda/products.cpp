#include "runtime/model/cuda/products.h"

#include <algorithm>
#include <limits>

namespace rubato::cuda {
namespace {

// Blocks of the kernel for most rows that are on a GPU of 132 multiprocessors (H100, H200) at once.
constexpr std::int64_t kPlaces = 264;
constexpr std::int64_t kMostSplits = 8;
// Of a weight the kernel moves a byte for every 64 rows; an expansion and cuBLAS move 1 + 2 + 2. It
// is not used for a fourth time, since it multiplies slower than cuBLAS. (Counted, not measured.)
constexpr std::int64_t kMostRowsInBands = 3 * kMostFloat8Rows;

std::int64_t round_up(std::int64_t count, std::int64_t unit) {
  return (count + unit - 1) / unit * unit;
}

/// Into how many parts k is cut: as few as leave no more than a tenth of the places empty, counted
/// over all the times that they fill. A function of the matrix alone, and so the same for any
/// batch.
std::int64_t splits_of(std::int64_t n, std::int64_t k) {
  const std::int64_t channels = round_up(n, kFloat8BlockChannels) / kFloat8BlockChannels;
  const std::int64_t most = std::clamp<std::int64_t>(k / kFloat8Chunk, 1, kMostSplits);
  for (std::int64_t splits = 1; splits < most; ++splits) {
    const std::int64_t blocks = splits * channels;
    if (10 * blocks >= 9 * round_up(blocks, kPlaces)) return splits;
  }
  return most;
}

struct Sizes {
  std::int64_t expanded = 0;  // elements
  std::int64_t parts = 0;     // floats
};

Sizes sizes_of(const ModelShape& shape) {
  const std::int64_t d = shape.d_model, heads = shape.local_head_width(),
                     mlp = shape.local_mlp_width();
  Sizes sizes;
  if (!shape.float8) return sizes;
  const std::pair<std::int64_t, std::int64_t> matrices[] = {
      {3 * heads, d}, {d, heads}, {2 * mlp, d}, {d, mlp}};
  for (const auto& [n, k] : matrices) {
    sizes.expanded = std::max(sizes.expanded, n * k);
    sizes.parts = std::max(sizes.parts, splits_of(n, k) * kMostFloat8Rows * n);
  }
  return sizes;
}

}  // namespace

Products::Products(const ModelShape& shape, Gemm& gemm, Stream stream)
    : element_(element_of(shape.storage)),
      most_rows_in_bands_(shape.batch_invariant ? std::numeric_limits<std::int64_t>::max()
                                                : kMostRowsInBands),
      stream_(stream),
      gemm_(gemm) {
  const Sizes sizes = sizes_of(shape);
  expanded_.as<std::byte>(sizes.expanded * element_size(shape.storage));
  parts_.as<float>(sizes.parts);
}

void Products::run(const void* x, DeviceMatrix& w, void* y, std::int64_t rows, Element result) {
  if (!w.float8()) {
    gemm_.run(x, w.values.bytes(0), y, rows, w.n, w.k, element_, result);
    return;
  }
  const auto* values = w.values.as<std::uint8_t>(0);
  const float* scales = w.scales.as<float>(0);
  if (element_ == Element::kBFloat16 && rows <= most_rows_in_bands_ && w.k % kFloat8Chunk == 0) {
    for (std::int64_t first = 0; first < rows; first += kMostFloat8Rows) {
      multiply_float8(
          {.x = static_cast<const std::byte*>(x) + first * w.k * element_size(element_),
           .w = values,
           .scales = scales,
           .y = static_cast<std::byte*>(y) + first * w.n * element_size(result),
           .parts = parts_.as<float>(0),
           .rows = static_cast<int>(std::min<std::int64_t>(rows - first, kMostFloat8Rows)),
           .n = static_cast<int>(w.n),
           .k = static_cast<int>(w.k),
           .splits = static_cast<int>(splits_of(w.n, w.k)),
           .result = result},
          stream_);
    }
    return;
  }
  void* expanded = expanded_.bytes(0);
  expand_float8(values, scales, w.n, w.k, expanded, element_, stream_);
  gemm_.run(x, expanded, y, rows, w.n, w.k, element_, result);
}

std::int64_t Products::scratch_bytes(const ModelShape& shape) {
  const Sizes sizes = sizes_of(shape);
  return sizes.expanded * element_size(shape.storage) + 4 * sizes.parts;
}

}  // namespace rubato::cuda
