#include "runtime/model/gpu_share.h"

#include <algorithm>

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

}  // namespace rubato
