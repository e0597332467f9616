#include "runtime/model/embedding.h"

#include <gtest/gtest.h>

#include <vector>

#include "runtime/base/bfloat16.h"
#include "tests/support/intra_op_threads.h"

namespace rubato {
namespace {

float value_of(std::int64_t row, std::int64_t column) {
  return static_cast<float>(row) + static_cast<float>(column) / 1024;
}

TEST(Embedding, KeepsEachRowAsItIsStored) {
  constexpr std::int64_t kRows = 1000, kWidth = 24;  // more rows than a thread reads at once
  const test::IntraOpThreads threads(3);
  for (const Storage storage : {Storage::kFloat32, Storage::kBFloat16}) {
    const Embedding embedding(
        kRows, kWidth, storage, [](std::int64_t begin, std::int64_t end, float* out) {
          for (std::int64_t row = begin; row < end; ++row) {
            for (std::int64_t column = 0; column < kWidth; ++column) *out++ = value_of(row, column);
          }
        });
    std::vector<float> row(kWidth);
    for (std::int64_t i = 0; i < kRows; ++i) {
      embedding.copy_row(i, row.data());
      for (std::int64_t column = 0; column < kWidth; ++column) {
        const float value = value_of(i, column);
        ASSERT_EQ(row[column],
                  storage == Storage::kFloat32 ? value : from_bfloat16(to_bfloat16(value)))
            << "row " << i << ", column " << column;
      }
    }
  }
}

}  // namespace
}  // namespace rubato
