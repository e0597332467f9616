#include "runtime/checkpoint/tensor_view.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "runtime/base/bfloat16.h"
#include "runtime/base/check.h"

namespace rubato {
namespace {

// How much is asked of the kernel ahead of the copy: enough to keep a disk busy.
constexpr std::int64_t kBandBytes = 8 << 20;

// Without branches, so that the loop over values is vectorised.
float float_from_float16(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t magnitude = bits & 0x7fffu;
  const std::uint32_t normal = (magnitude << 13) + (112u << 23);  // exponent bias 15 becomes 127
  const std::uint32_t special = (magnitude << 13) | 0x7f800000u;  // infinity and NaN
  const float subnormal = static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24f;
  std::uint32_t result = magnitude >= 0x7c00u ? special : normal;
  result = magnitude < 0x0400u ? std::bit_cast<std::uint32_t>(subnormal) : result;
  return std::bit_cast<float>(result | sign);
}

template <class Stored>
Stored load(const std::byte* from) {
  Stored value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

void convert(const std::byte* from, DType dtype, std::int64_t count, float* out) {
  switch (dtype) {
    case DType::kFloat32:
      std::memcpy(out, from, static_cast<std::size_t>(count) * sizeof(float));
      return;
    case DType::kFloat16:
      for (std::int64_t i = 0; i < count; ++i) {
        out[i] = float_from_float16(load<std::uint16_t>(from + 2 * i));
      }
      return;
    case DType::kBFloat16:
      for (std::int64_t i = 0; i < count; ++i) {
        out[i] = from_bfloat16(load<std::uint16_t>(from + 2 * i));
      }
      return;
  }
}

void convert(const std::byte* from, DType dtype, std::int64_t count, std::uint16_t* out) {
  switch (dtype) {
    case DType::kFloat32:
      for (std::int64_t i = 0; i < count; ++i) {
        out[i] = to_bfloat16(load<float>(from + 4 * i));
      }
      return;
    case DType::kFloat16:
      for (std::int64_t i = 0; i < count; ++i) {
        out[i] = to_bfloat16(float_from_float16(load<std::uint16_t>(from + 2 * i)));
      }
      return;
    case DType::kBFloat16:
      std::memcpy(out, from, static_cast<std::size_t>(count) * sizeof(std::uint16_t));
      return;
  }
}

bool inside(const IndexRange& range, std::int64_t size) {
  return 0 <= range.begin && range.begin <= range.end && range.end <= size;
}

template <class Out>
void copy(const TensorView& tensor, const TensorSlice& slice, Out* out) {
  RUBATO_CHECK(inside(slice.rows, tensor.rows) && inside(slice.cols, tensor.cols),
               "rows ",
               slice.rows.begin,
               "..",
               slice.rows.end,
               " of ",
               tensor.rows,
               ", columns ",
               slice.cols.begin,
               "..",
               slice.cols.end,
               " of ",
               tensor.cols);
  if (slice.size() == 0) return;
  const std::int64_t bytes = byte_size(tensor.dtype);
  // Whole rows lie side by side in the file: one run per band of rows. Otherwise a run per row.
  const bool whole_rows = slice.cols.size() == tensor.cols;
  const std::int64_t band = std::max<std::int64_t>(1, kBandBytes / (slice.cols.size() * bytes));
  for (std::int64_t first = slice.rows.begin; first < slice.rows.end; first += band) {
    const std::int64_t rows = std::min(band, slice.rows.end - first);
    const std::int64_t runs = whole_rows ? 1 : rows;
    const std::int64_t run_length = whole_rows ? rows * tensor.cols : slice.cols.size();
    const auto run_offset = [&](std::int64_t run) {
      return tensor.offset +
             static_cast<std::uint64_t>(((first + run) * tensor.cols + slice.cols.begin) * bytes);
    };
    for (std::int64_t run = 0; run < runs; ++run) {
      tensor.file->will_need(run_offset(run), run_length * bytes);
    }
    for (std::int64_t run = 0; run < runs; ++run) {
      convert(tensor.file->bytes().data() + run_offset(run), tensor.dtype, run_length, out);
      out += run_length;
    }
    tensor.file->release(run_offset(0), run_offset(runs - 1) + run_length * bytes - run_offset(0));
  }
  tensor.file->count_read(static_cast<std::uint64_t>(slice.size() * bytes));
}

}  // namespace

void copy_slice(const TensorView& tensor, const TensorSlice& slice, float* out) {
  copy(tensor, slice, out);
}

void copy_slice(const TensorView& tensor, const TensorSlice& slice, std::uint16_t* out_bfloat16) {
  copy(tensor, slice, out_bfloat16);
}

}  // namespace rubato
