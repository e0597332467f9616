#include "runtime/model/cuda/device_memory.h"

#include <gtest/gtest.h>

#include "tests/support/cuda_emulation/device.h"

namespace rubato::cuda::testing {
namespace {

TEST(CudaMemory, GrowsByAQuarterSoThatItSeldomMoves) {
  Memory memory;
  EXPECT_EQ((memory.bytes(1000), memory.size()), 1000U);  // the first time as asked for
  for (std::size_t bytes = 1000; bytes <= 10'000; bytes += 10) memory.bytes(bytes);
  EXPECT_LE(memory.moves(), 13U);
  EXPECT_LE(memory.size(), 12'500U);
}

TEST(CudaMemory, TakesWhatIsAskedForWhereThereIsNoRoomForMore) {
  Memory memory;
  memory.bytes(1000);
  emulation::limit_allocations(1100);
  memory.bytes(1050);
  emulation::limit_allocations(0);
  EXPECT_EQ(memory.size(), 1050U);
}

}  // namespace
}  // namespace rubato::cuda::testing
