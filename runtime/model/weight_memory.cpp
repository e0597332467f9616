#include "runtime/model/weight_memory.h"

#include <sys/mman.h>

#include <cstdlib>

#include "runtime/base/check.h"

namespace rubato {
namespace {

constexpr std::size_t kCacheLine = 64, kLargePage = 2 << 20;

}  // namespace

void WeightMemory::Free::operator()(void* memory) const {
  std::free(memory);
}

WeightMemory::WeightMemory(std::size_t bytes) {
  const bool large = bytes >= kLargePage;
  const std::size_t alignment = large ? kLargePage : kCacheLine;
  memory_.reset(std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment));
  RUBATO_CHECK(memory_ != nullptr, bytes, " bytes of weights");
  // Only whole pages: the rest of the last would count as this process's memory. A refusal does no
  // harm.
  if (large)
    static_cast<void>(madvise(memory_.get(), bytes / kLargePage * kLargePage, MADV_HUGEPAGE));
}

}  // namespace rubato
