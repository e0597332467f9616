#include "runtime/checkpoint/tensor_view.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "tests/support/checkpoint_builder.h"
#include "tests/support/temporary_folder.h"

namespace rubato {
namespace {

using testing::TemporaryFolder;
using testing::write_file;

// A file that holds `values`' bytes behind `offset` others.
class StoredMatrix {
 public:
  template <class Value>
  StoredMatrix(const std::vector<Value>& values,
               DType dtype,
               std::int64_t rows,
               std::int64_t cols,
               std::size_t offset = 0) {
    std::string bytes(offset + values.size() * sizeof(Value), 'x');
    std::memcpy(bytes.data() + offset, values.data(), values.size() * sizeof(Value));
    const auto path = folder_.path() / "data";
    write_file(path, bytes);
    file_ = MappedFile::open(path).value();
    view = {file_.get(), offset, dtype, rows, cols};
  }

  TensorView view;

 private:
  TemporaryFolder folder_;
  std::unique_ptr<MappedFile> file_;
};

std::vector<std::uint16_t> all_halves() {
  std::vector<std::uint16_t> values(1 << 16);
  std::iota(values.begin(), values.end(), 0);
  return values;
}

template <class Out>
std::vector<Out> copied(const TensorView& view, const TensorSlice& slice) {
  std::vector<Out> out(static_cast<std::size_t>(slice.size()));
  copy_slice(view, slice, out.data());
  return out;
}

// The value of a binary format by its definition.
double value_of(std::uint16_t bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return mantissa == 0 ? sign * std::numeric_limits<double>::infinity() : std::nan("");
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

void expect_same(float found, double expected, std::size_t bits) {
  if (std::isnan(expected)) {
    ASSERT_TRUE(std::isnan(found)) << bits;
  } else {
    ASSERT_EQ(static_cast<double>(found), expected) << bits;
    ASSERT_EQ(std::signbit(found), std::signbit(expected)) << bits;
  }
}

TEST(CopySlice, ConvertsEveryFloat16Exactly) {
  const StoredMatrix stored(all_halves(), DType::kFloat16, 256, 256);
  const auto found = copied<float>(stored.view, stored.view.whole());
  for (std::size_t bits = 0; bits < found.size(); ++bits) {
    expect_same(found[bits], value_of(static_cast<std::uint16_t>(bits), 5, 10), bits);
  }
}

TEST(CopySlice, ConvertsEveryBfloat16ExactlyAndCopiesItUnchanged) {
  const StoredMatrix stored(all_halves(), DType::kBFloat16, 256, 256);
  const auto found = copied<float>(stored.view, stored.view.whole());
  for (std::size_t bits = 0; bits < found.size(); ++bits) {
    expect_same(found[bits], value_of(static_cast<std::uint16_t>(bits), 8, 7), bits);
  }
  EXPECT_EQ(copied<std::uint16_t>(stored.view, stored.view.whole()), all_halves());
}

TEST(CopySlice, RoundsToTheNearestBfloat16AndTiesToEven) {
  const std::vector<std::pair<std::uint32_t, std::uint16_t>> cases = {
      {0x3f800000, 0x3f80},   // 1
      {0x3f807fff, 0x3f80},   // just under the middle
      {0x3f808000, 0x3f80},   // the middle, down to even
      {0x3f818000, 0x3f82},   // the middle, up to even
      {0x3f808001, 0x3f81},   // just over the middle
      {0xbf808001, 0xbf81},   // negative
      {0x7f7fffff, 0x7f80},   // the largest float becomes infinity
      {0x7f800000, 0x7f80},   // infinity
      {0xff800000, 0xff80},   // -infinity
      {0x7f800001, 0x7fc0},   // a NaN whose upper half looks like infinity
      {0xffffffff, 0xffff},   // a NaN that must not wrap around to zero
      {0x80000000, 0x8000},   // -0
      {0x00008001, 0x0001}};  // subnormal
  std::vector<std::uint32_t> bits;
  for (const auto& [from, to] : cases) bits.push_back(from);
  const auto count = static_cast<std::int64_t>(bits.size());
  const StoredMatrix stored(bits, DType::kFloat32, 1, count);

  const auto found = copied<std::uint16_t>(stored.view, stored.view.whole());

  for (std::size_t i = 0; i < cases.size(); ++i) EXPECT_EQ(found[i], cases[i].second) << i;
}

TEST(CopySlice, TakesFloat16ToBfloat16ThroughFloat32) {
  // 1 + 2^-8 lies in the middle of two bfloat16 values; 1 + 3 * 2^-8 as well.
  const std::vector<std::uint16_t> stored_bits = {0x3c00, 0x3c04, 0x3c0c, 0x7c00, 0x0001};
  const StoredMatrix stored(stored_bits, DType::kFloat16, 1, 5);

  EXPECT_EQ(copied<std::uint16_t>(stored.view, stored.view.whole()),
            (std::vector<std::uint16_t>{0x3f80, 0x3f80, 0x3f82, 0x7f80, 0x3380}));
}

TEST(CopySlice, TakesRowsAndColumnsAtAnyAlignmentAndCountsTheirBytes) {
  std::vector<float> values(6 * 5);
  std::iota(values.begin(), values.end(), 0.0f);
  const StoredMatrix stored(values, DType::kFloat32, 6, 5, 3);

  EXPECT_EQ(copied<float>(stored.view, {{2, 4}, {0, 5}}),
            (std::vector<float>{10, 11, 12, 13, 14, 15, 16, 17, 18, 19}));
  EXPECT_EQ(stored.view.file->bytes_read(), 40);
  EXPECT_EQ(copied<float>(stored.view, {{1, 4}, {3, 5}}),
            (std::vector<float>{8, 9, 13, 14, 18, 19}));
  EXPECT_EQ(stored.view.file->bytes_read(), 64);
  EXPECT_TRUE(copied<float>(stored.view, {{3, 3}, {0, 5}}).empty());
  EXPECT_EQ(stored.view.file->bytes_read(), 64);
}

TEST(CopySlice, CopiesMoreThanOneBand) {
  const std::int64_t rows = 3000;
  const std::int64_t cols = 1000;  // 12 MB
  std::vector<float> values(static_cast<std::size_t>(rows * cols));
  std::iota(values.begin(), values.end(), 0.0f);
  const StoredMatrix stored(values, DType::kFloat32, rows, cols);

  EXPECT_EQ(copied<float>(stored.view, stored.view.whole()), values);
  const auto part = copied<float>(stored.view, {{1, rows}, {1, cols}});
  EXPECT_EQ(part.front(), 1001);
  EXPECT_EQ(part.back(), 2999999);
}

TEST(CopySliceDeathTest, EndsTheProcessOnASliceOutsideTheTensor) {
  const StoredMatrix stored(std::vector<float>(6), DType::kFloat32, 2, 3);
  float out[6];

  EXPECT_DEATH(copy_slice(stored.view, {{0, 3}, {0, 3}}, out), "rows 0..3 of 2");
  EXPECT_DEATH(copy_slice(stored.view, {{0, 1}, {-1, 3}}, out), "columns -1..3 of 3");
}

}  // namespace
}  // namespace rubato
