#include "runtime/model/linear.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "runtime/base/bfloat16.h"
#include "runtime/base/check.h"

namespace rubato {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::int64_t kFloatsReadAtATime = 4 << 20;

void assign(float value, float& to) {
  to = value;
}
void assign(float value, std::uint16_t& to) {
  to = to_bfloat16(value);
}

/// Copies rows [begin, end) of W into the panels.
template <class T>
void pack(const float* rows, std::int64_t begin, std::int64_t end, std::int64_t k, T* panels) {
  for (std::int64_t row = begin; row < end; ++row, rows += k) {
    T* column = panels + row / kPanelWidth * k * kPanelWidth + row % kPanelWidth;
    for (std::int64_t i = 0; i < k; ++i) assign(rows[i], column[i * kPanelWidth]);
  }
}

std::int64_t num_panels(std::int64_t n) {
  return (n + kPanelWidth - 1) / kPanelWidth;
}

}  // namespace

void Linear::Free::operator()(void* memory) const {
  std::free(memory);
}

Linear::Linear(std::int64_t n, std::int64_t k, Storage storage, int groups, const RowReader& read) {
  RUBATO_CHECK(k % groups == 0, n, " x ", k, ", groups ", groups);
  packed_ = {nullptr, storage, n, k, groups};
  const auto size = static_cast<std::size_t>(bytes());
  memory_.reset(std::aligned_alloc(kAlignment, size));
  RUBATO_CHECK(memory_ != nullptr, size, " bytes of weights");
  std::memset(memory_.get(), 0, size);
  packed_.panels = memory_.get();
  const std::int64_t rows_at_a_time = std::clamp<std::int64_t>(kFloatsReadAtATime / k, 1, n);
  std::vector<float> rows(rows_at_a_time * k);
  for (std::int64_t begin = 0; begin < n; begin += rows_at_a_time) {
    const std::int64_t end = std::min(n, begin + rows_at_a_time);
    read(begin, end, rows.data());
    if (storage == Storage::kFloat32) {
      pack(rows.data(), begin, end, k, static_cast<float*>(memory_.get()));
    } else {
      pack(rows.data(), begin, end, k, static_cast<std::uint16_t*>(memory_.get()));
    }
  }
}

std::int64_t Linear::bytes() const {
  return num_panels(packed_.n) * kPanelWidth * packed_.k *
         (packed_.storage == Storage::kFloat32 ? 4 : 2);
}

void Linear::apply(const float* x, std::int64_t rows, float* y) const {
  if (rows == 0) return;
  constexpr std::int64_t kGrainOperations =
      1 << 18;  // below this a second thread costs more than it gives
  const std::int64_t operations_per_panel = rows * packed_.k * kPanelWidth;
  const std::int64_t grain = std::max<std::int64_t>(1, kGrainOperations / operations_per_panel);
  at::parallel_for(0, num_panels(packed_.n), grain, [&](std::int64_t begin, std::int64_t end) {
    kernels().gemm(x, rows, packed_.k, packed_, y, packed_.n, begin, end);
  });
}

int reduction_groups(std::int64_t k) {
  int groups = 8;
  while (k % groups != 0) groups /= 2;
  return groups;
}

}  // namespace rubato
