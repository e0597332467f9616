#include "runtime/model/gpu_share.h"

#include <algorithm>
#include <numeric>

#include "runtime/base/check.h"

namespace rubato {

int gpu_of(int local_rank, int num_gpus) {
  RUBATO_CHECK(num_gpus > 0);
  return local_rank % num_gpus;
}

std::int64_t share_of(std::int64_t free_bytes,
                      const std::string& uuid,
                      std::span<const std::string> uuids) {
  const auto sharers = std::ranges::count(uuids, uuid);
  RUBATO_CHECK(sharers > 0, "the GPU ", uuid, " is no rank's");
  return free_bytes / sharers;
}

std::int64_t tokens_that_fit(std::int64_t memory_bytes,
                             std::int64_t most,
                             const std::function<std::int64_t(std::int64_t tokens)>& needed_bytes) {
  std::int64_t fits = 1, too_many = (most + kTokenStep - 1) / kTokenStep + 1;  // in steps
  while (too_many - fits > 1) {
    const std::int64_t step = std::midpoint(fits, too_many);
    (needed_bytes(step * kTokenStep) <= memory_bytes ? fits : too_many) = step;
  }
  return fits * kTokenStep;
}

}  // namespace rubato
