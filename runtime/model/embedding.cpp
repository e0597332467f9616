#include "runtime/model/embedding.h"

#include <algorithm>
#include <bit>

namespace rubato {

Embedding::Embedding(const TensorView& tensor, const TensorSlice& slice, Storage storage)
    : width_(slice.cols.size()) {
  switch (storage) {
    case Storage::kFloat32:
      floats_.resize(slice.size());
      copy_slice(tensor, slice, floats_.data());
      return;
    case Storage::kBFloat16:
      halves_.resize(slice.size());
      copy_slice(tensor, slice, halves_.data());
      return;
  }
}

Embedding::Embedding(std::int64_t rows, std::int64_t width, Storage storage, const RowReader& read)
    : width_(width) {
  floats_.resize(rows * width);
  read(0, rows, floats_.data());
  if (storage == Storage::kFloat32) return;
  kernels().round(floats_.data(), rows * width);
  for (const float value : floats_)
    halves_.push_back(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16));
  floats_ = {};
}

void Embedding::copy_row(std::int64_t row, float* out) const {
  const std::int64_t begin = row * width_;
  if (halves_.empty()) {
    std::copy_n(floats_.begin() + begin, width_, out);
  } else {
    std::transform(
        halves_.begin() + begin, halves_.begin() + begin + width_, out, [](std::uint16_t half) {
          return std::bit_cast<float>(std::uint32_t{half} << 16);
        });
  }
}

}  // namespace rubato
