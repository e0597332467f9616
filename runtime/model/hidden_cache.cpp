#include "runtime/model/hidden_cache.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace rubato {
namespace {

void narrow_row(const float* from, std::int64_t count, Storage storage, void* to) {
  if (storage == Storage::kFloat32) {
    std::memcpy(to, from, count * sizeof(float));
    return;
  }
  auto* halves = static_cast<std::uint16_t*>(to);  // the values are already rounded to bfloat16
  for (std::int64_t i = 0; i < count; ++i)
    halves[i] = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(from[i]) >> 16);
}

void widen_row(const void* from, std::int64_t count, Storage storage, float* to) {
  if (storage == Storage::kFloat32) {
    std::memcpy(to, from, count * sizeof(float));
    return;
  }
  const auto* halves = static_cast<const std::uint16_t*>(from);
  for (std::int64_t i = 0; i < count; ++i)
    to[i] = std::bit_cast<float>(std::uint32_t{halves[i]} << 16);
}

}  // namespace

void HiddenCache::store(int layer, const RowPass& pass, std::int64_t rows, const float* hidden) {
  const std::int64_t width = shape_.local_hidden_width();
  for (const PassSequence& packed : pass.sequences) {
    for (std::int64_t row = packed.first_row; row < std::min(rows, packed.end_row()); ++row) {
      narrow_row(hidden + row * shape_.d_model + shape_.tp_rank * width,
                 width,
                 shape_.storage,
                 cache_.x(layer, packed.sequence->slot_begin + pass.positions[row]));
    }
  }
}

void HiddenCache::gather(int layer, const StepSequence& sequence, float* out) {
  const std::int64_t width = shape_.local_hidden_width(), rows = sequence.canvas_length();
  at::Tensor mine = mine_.tensor(rows * width);
  at::Tensor all = gathered_.tensor(rows * width * shape_.tp_size);
  for (std::int64_t row = 0; row < rows; ++row) {
    widen_row(cache_.x(layer, sequence.slot_begin + row),
              width,
              shape_.storage,
              mine.data_ptr<float>() + row * width);
  }
  communicator_.all_gather(mine, all);
  const float* from = all.data_ptr<float>();
  for (int rank = 0; rank < shape_.tp_size; ++rank) {
    for (std::int64_t row = 0; row < rows; ++row, from += width)
      std::copy_n(from, width, out + row * shape_.d_model + rank * width);
  }
}

}  // namespace rubato
