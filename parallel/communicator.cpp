#include "parallel/communicator.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace rubato {

void SingleCommunicator::all_gather(const at::Tensor& mine, at::Tensor& all) {
  std::memcpy(all.data_ptr(), mine.data_ptr(), mine.nbytes());
}

namespace {

constexpr int kBlock = 256;      // floats summed at a time: the levels stay in the L1 cache
constexpr int kMostLevels = 16;  // of the tree: enough for far more ranks than are used
using Block = std::array<float, kBlock>;

void add(const float* left, const float* right, int size, Block& sum) {
  for (int i = 0; i < size; ++i) sum[i] = left[i] + right[i];
}

/// The tree sum of `size` floats. A binary counter: level l waits for the sum of 2^l parts that
/// follow those it holds.
void tree_sum_block(const float* parts, int num_parts, std::int64_t stride, int size, Block& sum) {
  std::array<Block, kMostLevels> levels;
  for (int p = 0; p < num_parts; p += 2) {
    const float* left = parts + p * stride;
    int level = 0;
    if (p + 1 == num_parts) {
      std::memcpy(sum.data(), left, size * sizeof(float));
    } else {
      add(left, left + stride, size, sum);
      level = 1;
      for (int carry = p >> 1; (carry & 1) != 0; carry >>= 1, ++level)
        add(levels[level].data(), sum.data(), size, sum);
    }
    if (p + 2 < num_parts) levels[level] = sum;
  }
  // A count that is not a power of two leaves several levels, the lowest of them in `sum`: the
  // later, smaller ones join the earlier from the right.
  for (int level = std::countr_zero(static_cast<unsigned>(num_parts)) + 1; num_parts >> level != 0;
       ++level) {
    if ((num_parts >> level & 1) != 0) add(levels[level].data(), sum.data(), size, sum);
  }
}

}  // namespace

namespace detail {

void tree_sum(
    const float* parts, int num_parts, std::int64_t stride, float* out, std::int64_t count) {
  Block sum;
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const auto size = static_cast<int>(std::min<std::int64_t>(kBlock, count - begin));
    tree_sum_block(parts + begin, num_parts, stride, size, sum);
    std::memcpy(out + begin, sum.data(), size * sizeof(float));
  }
}

}  // namespace detail
}  // namespace rubato
