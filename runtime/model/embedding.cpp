#include "runtime/model/embedding.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "runtime/base/bfloat16.h"

namespace rubato {
namespace {

constexpr std::int64_t kRowsReadAtATime = 256;  // by a thread

std::size_t bytes_of(std::int64_t values, Storage storage) {
  return static_cast<std::size_t>(values) * (storage == Storage::kFloat32 ? 4 : 2);
}

}  // namespace

Embedding::Embedding(const TensorView& tensor, const TensorSlice& slice, Storage storage)
    : width_(slice.cols.size()), storage_(storage), memory_(bytes_of(slice.size(), storage)) {
  at::parallel_for(
      0, slice.rows.size(), kRowsReadAtATime, [&](std::int64_t begin, std::int64_t end) {
        const TensorSlice part{{slice.rows.begin + begin, slice.rows.begin + end}, slice.cols};
        if (storage == Storage::kFloat32) {
          copy_slice(tensor, part, floats() + begin * width_);
        } else {
          copy_slice(tensor, part, halves() + begin * width_);
        }
      });
}

Embedding::Embedding(std::int64_t rows, std::int64_t width, Storage storage, const RowReader& read)
    : width_(width), storage_(storage), memory_(bytes_of(rows * width, storage)) {
  at::parallel_for(0, rows, kRowsReadAtATime, [&](std::int64_t begin, std::int64_t end) {
    if (storage == Storage::kFloat32) return read(begin, end, floats() + begin * width_);
    std::vector<float> row(width_);
    for (std::int64_t i = begin; i < end; ++i) {
      read(i, i + 1, row.data());
      std::ranges::transform(row, halves() + i * width_, to_bfloat16);
    }
  });
}

void Embedding::copy_row(std::int64_t row, float* out) const {
  const std::int64_t begin = row * width_;
  if (storage_ == Storage::kFloat32) {
    std::copy_n(floats() + begin, width_, out);
  } else {
    std::transform(halves() + begin, halves() + begin + width_, out, from_bfloat16);
  }
}

}  // namespace rubato
