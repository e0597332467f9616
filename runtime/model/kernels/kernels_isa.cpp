// Compiled once per instruction set (CMakeLists.txt), each time with its own RUBATO_ISA and
// compiler flags.
#include <algorithm>
#include <cmath>

#include "runtime/model/kernels/attention_isa.h"
#include "runtime/model/kernels/simd.h"

namespace rubato {
namespace {

constexpr int kMostTreeLevels = 8;

/// `rows` <= kTileRows rows of x times a panel: two vectors of columns at a time.
template <class W>
void multiply_panel(
    int rows, const float* x, std::int64_t ldx, const W* panel, std::int64_t k, float* tile) {
  for (std::int64_t column = 0; column < kPanelWidth; column += 2 * kLanes)
    multiply_rows<2, kPanelWidth>(rows, x, ldx, kOne, panel + column, k, tile + column);
}

/// One tile of y: the groups' partial sums, combined in a balanced binary tree by a binary counter.
template <class W>
void gemm_tile(int rows,
               const float* x,
               std::int64_t ldx,
               const W* panel,
               const PackedWeights& w,
               float* tile) {
  if (w.groups == 1) return multiply_panel(rows, x, ldx, panel, w.k, tile);
  const std::int64_t group_size = w.k / w.groups;
  const int size = rows * static_cast<int>(kPanelWidth);
  float levels[kMostTreeLevels][kTileRows * kPanelWidth];
  for (int group = 0; group < w.groups; ++group) {
    const std::int64_t begin = group * group_size;
    multiply_panel(rows, x + begin, ldx, panel + begin * kPanelWidth, group_size, tile);
    int level = 0;
    for (int carry = group; carry & 1; carry >>= 1, ++level) {
      for (int i = 0; i < size; ++i) tile[i] = levels[level][i] + tile[i];
    }
    std::memcpy(levels[level], tile, size * sizeof(float));
  }
}

template <class W>
void gemm_panels(const float* x,
                 std::int64_t rows,
                 std::int64_t ldx,
                 const PackedWeights& w,
                 float* y,
                 std::int64_t ldy,
                 std::int64_t panel_begin,
                 std::int64_t panel_end) {
  float tile[kTileRows * kPanelWidth];
  for (std::int64_t p = panel_begin; p < panel_end; ++p) {
    const W* panel = static_cast<const W*>(w.panels) + p * w.k * kPanelWidth;
    const std::int64_t columns = std::min(kPanelWidth, w.n - p * kPanelWidth);
    for (std::int64_t row = 0; row < rows; row += kTileRows) {
      const int count = static_cast<int>(std::min<std::int64_t>(kTileRows, rows - row));
      gemm_tile(count, x + row * ldx, ldx, panel, w, tile);
      float* out = y + row * ldy + p * kPanelWidth;
      if (columns == kPanelWidth) {  // a size the compiler knows: two stores, and no call
        for (int m = 0; m < count; ++m)
          std::memcpy(out + m * ldy, tile + m * kPanelWidth, kPanelWidth * sizeof(float));
      } else {
        for (int m = 0; m < count; ++m)
          std::memcpy(out + m * ldy, tile + m * kPanelWidth, columns * sizeof(float));
      }
    }
  }
}

void gemm(const float* x,
          std::int64_t rows,
          std::int64_t ldx,
          const PackedWeights& w,
          float* y,
          std::int64_t ldy,
          std::int64_t panel_begin,
          std::int64_t panel_end) {
  if (w.storage == Storage::kFloat32) {
    gemm_panels<float>(x, rows, ldx, w, y, ldy, panel_begin, panel_end);
  } else {
    gemm_panels<std::uint16_t>(x, rows, ldx, w, y, ldy, panel_begin, panel_end);
  }
}

void attend(const HeadTask& task) {
  if (task.storage == Storage::kFloat32) {
    attend_head<float>(task);
  } else {
    attend_head<std::uint16_t>(task);
  }
}

float sum_of_squares(const float* x, std::int64_t width) {
  Vec total = {};
  std::int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) total += load(x + i) * load(x + i);
  float rest = 0;
  for (; i < width; ++i) rest += x[i] * x[i];
  return sum(total) + rest;
}

void rms_norm(const float* x,
              const float* weight,
              float* out,
              std::int64_t rows,
              std::int64_t width,
              float eps,
              Storage rounding) {
  const bool round = rounding == Storage::kBFloat16;
  for (std::int64_t row = 0; row < rows; ++row, x += width, out += width) {
    const float inverse =
        1.0f / std::sqrt(sum_of_squares(x, width) / static_cast<float>(width) + eps);
    for (std::int64_t i = 0; i < width; ++i) {
      out[i] = rounded_if(rounded_if(x[i] * inverse, round) * weight[i], round);
    }
  }
}

void rope(float* rows,
          const std::int32_t* positions,
          std::int64_t num_rows,
          std::int64_t stride,
          int heads,
          int head_dim,
          const float* cos,
          const float* sin,
          Storage rounding) {
  const bool round = rounding == Storage::kBFloat16;
  const int half = head_dim / 2;
  for (std::int64_t row = 0; row < num_rows; ++row) {
    const float* c = cos + static_cast<std::int64_t>(positions[row]) * half;
    const float* s = sin + static_cast<std::int64_t>(positions[row]) * half;
    for (int head = 0; head < heads; ++head) {
      float* first = rows + row * stride + head * head_dim;
      float* second = first + half;
      for (int i = 0; i < half; ++i) {
        const float a = first[i], b = second[i];
        first[i] = rounded_if(a * c[i] - b * s[i], round);
        second[i] = rounded_if(b * c[i] + a * s[i], round);
      }
    }
  }
}

void swiglu(
    const float* gate_up, float* out, std::int64_t rows, std::int64_t width, Storage rounding) {
  const bool round = rounding == Storage::kBFloat16;
  for (std::int64_t row = 0; row < rows; ++row, gate_up += 2 * width, out += width) {
    const float* up = gate_up + width;
    for (std::int64_t i = 0; i < width; i += kLanes) {
      float lanes[2][kLanes] = {};
      const auto count = static_cast<int>(std::min<std::int64_t>(kLanes, width - i));
      std::memcpy(lanes[0], gate_up + i, count * sizeof(float));
      std::memcpy(lanes[1], up + i, count * sizeof(float));
      const Vec gate = load(lanes[0]);
      store(lanes[0], gate / (1.0f + exp(-gate)));
      for (int j = 0; j < count; ++j)
        out[i + j] = rounded_if(rounded_if(lanes[0][j], round) * lanes[1][j], round);
    }
  }
}

void add(float* x, const float* delta, std::int64_t count, Storage rounding) {
  if (rounding == Storage::kFloat32) {
    for (std::int64_t i = 0; i < count; ++i) x[i] += delta[i];
  } else {
    for (std::int64_t i = 0; i < count; ++i) x[i] = rounded(x[i] + rounded(delta[i]));
  }
}

/// The sum is kept in doubles: of a row that is nearly sure the terms are 1 and a rest that decides
/// between it and other such rows, and that 1 + rest in a float would lose.
GroupStatistics group_statistics(const float* logits, std::int64_t count) {
  Vec most = splat(-std::numeric_limits<float>::infinity());
  std::int64_t whole = 0;
  for (; whole + kLanes <= count; whole += kLanes) {
    const Vec z = load(logits + whole);
    most = select(z > most, z, most);
  }
  GroupStatistics statistics{max(most), 0};
  for (std::int64_t i = whole; i < count; ++i) statistics.max = std::max(statistics.max, logits[i]);
  DoubleVec total = {};
  for (std::int64_t i = 0; i < count; i += kLanes) {
    float lanes[kLanes];
    std::fill(lanes, lanes + kLanes, -std::numeric_limits<float>::infinity());
    std::memcpy(lanes, logits + i, std::min<std::int64_t>(kLanes, count - i) * sizeof(float));
    total += __builtin_convertvector(exp(load(lanes) - statistics.max), DoubleVec);
  }
  for (int i = 0; i < kLanes; ++i) statistics.sum += total[i];
  return statistics;
}

/// value(0) + ... + value(n - 1) as a balanced binary tree: ((0 + 1) + (2 + 3)) + ...
template <class Value>
inline Vec tree_fold(int n, Value value) {
  Vec levels[kMostTreeLevels];
  for (int i = 0; i < n; ++i) {
    Vec v = value(i);
    int level = 0;
    for (int carry = i; carry & 1; carry >>= 1, ++level) v = levels[level] + v;
    levels[level] = v;
  }
  int lowest = 0;  // a count that is no power of two leaves several levels
  while (!(n >> lowest & 1)) ++lowest;
  Vec total = levels[lowest];
  for (int level = lowest + 1; n >> level; ++level) {
    if (n >> level & 1) total = levels[level] + total;
  }
  return total;
}

void drift_sums(const float* p_old,
                const float* p_new,
                int num_heads,
                std::int64_t count,
                float* dot,
                float* old_squared,
                float* new_squared) {
  for (std::int64_t i = 0; i < count; i += kLanes) {
    const auto before = [&](int head) { return load_some(p_old + head * count + i, count - i); };
    const auto after = [&](int head) { return load_some(p_new + head * count + i, count - i); };
    const auto sum_over_heads = [&](float* to, auto value) {
      store_some(to + i, tree_fold(num_heads, value), count - i);
    };
    sum_over_heads(dot, [&](int h) { return rounded_product(before(h), after(h)); });
    sum_over_heads(old_squared, [&](int h) { return rounded_product(before(h), before(h)); });
    sum_over_heads(new_squared, [&](int h) { return rounded_product(after(h), after(h)); });
  }
}

void tree_sum(const float* parts, int num_parts, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; i += kLanes) {
    store_some(
        out + i,
        tree_fold(num_parts, [&](int p) { return load_some(parts + p * count + i, count - i); }),
        count - i);
  }
}

void round_all(float* x, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) x[i] = rounded(x[i]);
}

}  // namespace

#define RUBATO_STRING_OF(name) #name
#define RUBATO_STRING(name) RUBATO_STRING_OF(name)
#define RUBATO_JOIN_OF(a, b) a##b
#define RUBATO_JOIN(a, b) RUBATO_JOIN_OF(a, b)

extern const Kernels RUBATO_JOIN(kKernels_, RUBATO_ISA);
const Kernels RUBATO_JOIN(kKernels_, RUBATO_ISA) = {RUBATO_STRING(RUBATO_ISA),
                                                    gemm,
                                                    attend,
                                                    rms_norm,
                                                    rope,
                                                    swiglu,
                                                    add,
                                                    group_statistics,
                                                    drift_sums,
                                                    tree_sum,
                                                    round_all};

}  // namespace rubato
