#include "parallel/communicator.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "runtime/base/check.h"

namespace rubato {

void SingleCommunicator::all_gather(const at::Tensor& mine, at::Tensor& all) {
  std::memcpy(all.data_ptr(), mine.data_ptr(), mine.nbytes());
}

namespace detail {

void tree_sum(
    const float* parts, int num_parts, std::int64_t stride, float* out, std::int64_t count) {
  constexpr int kBlock = 256, kMostLevels = 16;
  std::array<std::array<float, kBlock>, kMostLevels> levels;
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const auto size = static_cast<int>(std::min<std::int64_t>(kBlock, count - begin));
    std::array<float, kBlock> sum;
    for (int p = 0; p < num_parts; ++p) {
      std::memcpy(sum.data(), parts + p * stride + begin, size * sizeof(float));
      int level = 0;
      for (int carry = p; carry & 1; carry >>= 1, ++level) {
        for (int i = 0; i < size; ++i) sum[i] = levels[level][i] + sum[i];
      }
      levels[level] = sum;
    }
    // A count that is no power of two leaves several levels: the later, smaller ones join the
    // earlier from the right.
    int lowest = 0;
    while (!(num_parts >> lowest & 1)) ++lowest;
    sum = levels[lowest];
    for (int level = lowest + 1; level < kMostLevels && num_parts >> level; ++level) {
      if (!(num_parts >> level & 1)) continue;
      for (int i = 0; i < size; ++i) sum[i] = levels[level][i] + sum[i];
    }
    std::memcpy(out + begin, sum.data(), size * sizeof(float));
  }
}

}  // namespace detail
}  // namespace rubato
