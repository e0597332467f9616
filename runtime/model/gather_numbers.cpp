#include "runtime/model/gather_numbers.h"

#include <ATen/ops/empty.h>

#include <cstring>

namespace rubato {

std::vector<double> gather_numbers(Communicator& communicator, std::span<const double> mine) {
  const auto count = static_cast<std::int64_t>(mine.size());
  at::Tensor part = at::empty({count}, at::kDouble),
             all = at::empty({communicator.size(), count}, at::kDouble);
  std::memcpy(part.data_ptr(), mine.data(), mine.size_bytes());
  communicator.all_gather(part, all);
  return {all.data_ptr<double>(), all.data_ptr<double>() + all.numel()};
}

}  // namespace rubato
