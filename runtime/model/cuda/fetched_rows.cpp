#include "runtime/model/cuda/fetched_rows.h"

#include <algorithm>

#include "parallel/cuda/cuda_check.h"

namespace rubato::cuda {

FetchedRows::FetchedRows(std::int64_t width, std::int64_t most_rows, std::int64_t most_bytes)
    : width_(width),
      held_rows_(std::clamp<std::int64_t>(
          most_bytes / (width * static_cast<std::int64_t>(sizeof(float))), 1, most_rows)) {
  host_.as<float>(held_rows_ * width_);
}

void FetchedRows::start(const float* matrix, std::vector<std::int64_t> rows, Stream stream) {
  matrix_ = matrix;
  rows_ = std::move(rows);
  stream_ = stream;
  fetch(0);
}

std::span<const float> FetchedRows::row(std::int64_t row, const std::function<void()>& wait) {
  const auto place = static_cast<std::size_t>(std::ranges::lower_bound(rows_, row) - rows_.begin());
  RUBATO_CHECK(place < rows_.size() && rows_[place] == row, "row ", row, " was not named");
  if (place < begin_ || place >= end_) {
    fetch(place);
    wait();
  }
  return {host_.as<float>(0) + static_cast<std::int64_t>(place - begin_) * width_,
          static_cast<std::size_t>(width_)};
}

void FetchedRows::fetch(std::size_t first) {
  const std::int64_t row_bytes = width_ * static_cast<std::int64_t>(sizeof(float));
  begin_ = first;
  end_ = std::min(rows_.size(), first + static_cast<std::size_t>(held_rows_));
  float* to = host_.as<float>(static_cast<std::int64_t>(end_ - begin_) * width_);
  for (std::size_t at = begin_, next = begin_; at < end_; at = next) {
    while (next < end_ && rows_[next] - rows_[at] == static_cast<std::int64_t>(next - at)) ++next;
    const auto count = static_cast<std::int64_t>(next - at);
    RUBATO_CUDA(cudaMemcpyAsync(to,
                                matrix_ + rows_[at] * width_,
                                static_cast<std::size_t>(count * row_bytes),
                                cudaMemcpyDeviceToHost,
                                stream_));
    to += count * width_;
  }
}

}  // namespace rubato::cuda
