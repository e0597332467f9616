#include "runtime/model/cuda/device_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/cuda_emulation/device.h"

namespace rubato::cuda::testing {
namespace {

TEST(CudaMemory, StaysWhereItIsOnceItIsAllocated) {
  Memory memory;
  EXPECT_EQ(memory.bytes(0), nullptr);
  void* first = memory.bytes(1000);
  for (const std::size_t bytes : {0, 1, 1000}) EXPECT_EQ(memory.bytes(bytes), first);
  EXPECT_EQ(memory.size(), 1000U);
  EXPECT_DEATH(memory.bytes(1001), "1001 bytes are asked for of 1000");
}

TEST(CudaMemory, ThatCannotBeHadIsAnExceptionThatSaysHowMuch) {
  emulation::limit_allocations(1100);
  for (const auto place : {Memory::Place::kDevice, Memory::Place::kPinned}) {
    Memory memory(place);
    try {
      memory.bytes(1200);
      ADD_FAILURE() << "there are so many";
    } catch (const OutOfMemory& failure) {
      EXPECT_THAT(failure.what(), ::testing::HasSubstr("1200 bytes of "));
    }
    EXPECT_NE(memory.bytes(1100), nullptr);
  }
  emulation::limit_allocations(0);
}

}  // namespace
}  // namespace rubato::cuda::testing
