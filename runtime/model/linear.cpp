#include "runtime/model/linear.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "runtime/base/bfloat16.h"
#include "runtime/base/check.h"

namespace rubato {
namespace {

constexpr std::int64_t kFloatsReadAtATime = 1 << 20;  // by a thread

void assign(float value, float& to) {
  to = value;
}
void assign(float value, std::uint16_t& to) {
  to = to_bfloat16(value);
}

/// Packs up to kPanelWidth rows of W, [count, k], into a panel, [k, kPanelWidth]; 0 for the rows
/// that are missing in the last one.
template <class T>
void pack_panel(const float* rows, std::int64_t count, std::int64_t k, T* panel) {
  for (std::int64_t i = 0; i < k; ++i, panel += kPanelWidth) {
    for (std::int64_t row = 0; row < count; ++row) assign(rows[row * k + i], panel[row]);
    std::fill(panel + count, panel + kPanelWidth, T{0});
  }
}

template <class T>
void pack(const float* rows, std::int64_t count, std::int64_t k, T* panels) {
  for (std::int64_t row = 0; row < count; row += kPanelWidth) {
    pack_panel(
        rows + row * k, std::min<std::int64_t>(kPanelWidth, count - row), k, panels + row * k);
  }
}

std::int64_t num_panels(std::int64_t n) {
  return (n + kPanelWidth - 1) / kPanelWidth;
}

}  // namespace

Linear::Linear(std::int64_t n, std::int64_t k, Storage storage, int groups, const RowReader& read) {
  RUBATO_CHECK(k % groups == 0, n, " x ", k, ", groups ", groups);
  packed_ = {nullptr, storage, n, k, groups};
  memory_ = WeightMemory(static_cast<std::size_t>(bytes()));
  packed_.panels = memory_.get();
  const std::int64_t panels_at_a_time =
      std::max<std::int64_t>(1, kFloatsReadAtATime / (kPanelWidth * k));
  at::parallel_for(0, num_panels(n), panels_at_a_time, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> rows(std::min(panels_at_a_time, end - begin) * kPanelWidth * k);
    for (std::int64_t panel = begin; panel < end; panel += panels_at_a_time) {
      const std::int64_t first = panel * kPanelWidth;
      const std::int64_t count =
          std::min(n, std::min(end, panel + panels_at_a_time) * kPanelWidth) - first;
      read(first, first + count, rows.data());
      if (storage == Storage::kFloat32) {
        pack(rows.data(), count, k, static_cast<float*>(memory_.get()) + first * k);
      } else {
        pack(rows.data(), count, k, static_cast<std::uint16_t*>(memory_.get()) + first * k);
      }
    }
  });
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

int local_groups(std::int64_t whole_k, int tp_size) {
  return std::max(1, reduction_groups(whole_k) / tp_size);
}

}  // namespace rubato
