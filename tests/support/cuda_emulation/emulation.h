#pragma once

#include <cstdint>
#include <cstring>
#include <functional>

#include "tests/support/cuda_emulation/device.h"

/// Runs CUDA kernels on a processor: each thread of a block is a fiber, which gives way at barriers
/// and wherever a warp's threads meet; in which order they take turns is drawn by lot for each
/// block (the same in each run of a program). Blocks run one after the other. A barrier that some
/// thread of the block (or lane of the warp) can no longer reach ends the process with a message.
/// Every host thread may launch; what it launches runs when it is the stream's turn (device.h).
namespace rubato::emulation {

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};

extern thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

void run(dim3 grid, dim3 block, const std::function<void()>& kernel);

/// Enqueues a kernel, whose arguments are copied as a launch copies them.
template <class Kernel, class... Arguments>
void launch(Kernel kernel, dim3 grid, dim3 block, CUstream_st* stream, Arguments... arguments) {
  enqueue(stream, [=] { run(grid, block, [=] { kernel(arguments...); }); });
}

void block_barrier();
int lane();

/// A warp's lanes show each other 4-byte words; each waits for all.
class Meeting {
 public:
  Meeting(const void* words, int count);
  /// Until this lane's next meeting.
  const std::uint32_t* words_of(int lane) const;

 private:
  const void* warp_;
  std::uint64_t which_ = 0;
};

template <class T>
T shuffle(T value, int source) {
  static_assert(sizeof(T) % 4 == 0);
  const Meeting meeting(&value, sizeof(T) / 4);
  T found;
  std::memcpy(&found, meeting.words_of(source & 31), sizeof(T));
  return found;
}

/// d += a b of bfloat16 fragments, laid out as PTX's mma.sync.m16n8k16 lays them out.
void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]);

}  // namespace rubato::emulation
