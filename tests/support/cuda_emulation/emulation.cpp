#include "tests/support/cuda_emulation/emulation.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "runtime/base/check.h"

extern "C" void rubato_switch_fiber(void** from, void* to);

// Keeps what a call must preserve on the stack that is left, and takes it from the one that is
// entered.
asm(R"(
.text
.globl rubato_switch_fiber
.type rubato_switch_fiber, @function
rubato_switch_fiber:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size rubato_switch_fiber, .-rubato_switch_fiber
)");

namespace rubato::emulation {

thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace {

constexpr int kWarp = 32;
constexpr int kMostWords = 8;
constexpr std::size_t kStack = 128 << 10;

struct Barrier {
  int arrived = 0;
  std::uint64_t generation = 0;
};

struct Fiber {
  std::unique_ptr<std::byte[]> stack{new std::byte[kStack]};
  void* saved = nullptr;
  dim3 index;
  bool finished = false;
  const Barrier* waits = nullptr;
  std::uint64_t generation = 0;  // that it waits to see the end of
  // Of two meetings of its warp, in turns: who reads those of one may be slower than who comes to
  // the next.
  std::uint32_t words[2][kMostWords] = {};

  bool ready() const { return !finished && (waits == nullptr || waits->generation != generation); }
};

struct Block {
  std::vector<Fiber> fibers;
  std::vector<int> order;  // in which its threads take their turns
  std::minstd_rand random;
  std::vector<Barrier> warps;
  Barrier all;
  int size = 0;
  int turn = 0;     // in `order`
  int current = 0;  // the thread whose turn it is
  int finished = 0;
  void* scheduler = nullptr;
  const std::function<void()>* kernel = nullptr;

  /// Gives the turn to the next thread that can go on; false: there is none.
  bool next_turn() {
    for (int i = 0; i < size; ++i) {
      turn = turn + 1 == size ? 0 : turn + 1;
      if (!fibers[order[turn]].ready()) continue;
      current = order[turn];
      threadIdx = fibers[current].index;
      return true;
    }
    return false;
  }
};

thread_local Block* block = nullptr;  // what this host thread runs

Fiber& self() {
  return block->fibers[block->current];
}

/// To the next thread that can go on, or where there is none, back to who runs the block.
void give_way() {
  Fiber& mine = self();
  rubato_switch_fiber(&mine.saved, block->next_turn() ? self().saved : block->scheduler);
}

extern "C" void rubato_run_fiber() {
  (*block->kernel)();
  self().finished = true;
  ++block->finished;
  give_way();
}

void wait(Barrier& barrier, int size) {
  if (++barrier.arrived == size) {
    barrier.arrived = 0;
    ++barrier.generation;
    return;
  }
  self().waits = &barrier;
  self().generation = barrier.generation;
  give_way();
  self().waits = nullptr;
}

void prepare(Fiber& fiber) {
  fiber.finished = false;
  fiber.waits = nullptr;
  auto top = std::bit_cast<std::uintptr_t>(fiber.stack.get() + kStack) & ~std::uintptr_t{15};
  auto* stack = std::bit_cast<void**>(top) - 2;  // entered as if called: 8 bytes off 16
  *stack = std::bit_cast<void*>(&rubato_run_fiber);
  fiber.saved = stack - 6;  // the six registers
}

void run_block() {
  block->finished = block->turn = 0;
  block->all.arrived = 0;
  for (Barrier& warp : block->warps) warp.arrived = 0;
  for (int i = 0; i < block->size; ++i) prepare(block->fibers[i]);
  std::ranges::shuffle(block->order, block->random);
  if (block->next_turn()) rubato_switch_fiber(&block->scheduler, self().saved);
  RUBATO_CHECK(block->finished == block->size,
               "a barrier that not all threads reach, in block ",
               blockIdx.x);
}

}  // namespace

void run(dim3 grid, dim3 size, const std::function<void()>& kernel) {
  constexpr unsigned kMostBlocks = 65535;  // of y and z
  RUBATO_CHECK(grid.x > 0 && grid.x < 1u << 31 && grid.y > 0 && grid.y <= kMostBlocks &&
                   grid.z > 0 && grid.z <= kMostBlocks,
               "a grid of ",
               grid.x,
               " x ",
               grid.y,
               " x ",
               grid.z);
  thread_local Block mine;
  block = &mine;
  gridDim = grid;
  blockDim = size;
  mine.size = static_cast<int>(size.x * size.y * size.z);
  RUBATO_CHECK(mine.size > 0 && mine.size <= 1024, "a block of ", mine.size, " threads");
  if (std::ssize(mine.fibers) < mine.size) mine.fibers.resize(mine.size);
  mine.warps.resize((mine.size + kWarp - 1) / kWarp);
  mine.kernel = &kernel;
  mine.order.resize(mine.size);
  std::iota(mine.order.begin(), mine.order.end(), 0);
  int i = 0;
  for (unsigned z = 0; z < size.z; ++z) {
    for (unsigned y = 0; y < size.y; ++y) {
      for (unsigned x = 0; x < size.x; ++x) mine.fibers[i++].index = {x, y, z};
    }
  }
  for (blockIdx.z = 0; blockIdx.z < grid.z; ++blockIdx.z) {
    for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y) {
      for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x) run_block();
    }
  }
}

void block_barrier() {
  wait(block->all, block->size);
}

int lane() {
  return block->current % kWarp;
}

Meeting::Meeting(const void* words, int count)
    : warp_(&block->fibers[block->current / kWarp * kWarp]) {
  Barrier& barrier = block->warps[block->current / kWarp];
  which_ = barrier.generation % 2;
  std::memcpy(self().words[which_], words, count * sizeof(std::uint32_t));
  wait(barrier, kWarp);
}

const std::uint32_t* Meeting::words_of(int lane) const {
  return static_cast<const Fiber*>(warp_)[lane].words[which_];
}

void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  std::uint32_t mine[6];
  std::memcpy(mine, a, sizeof a);
  std::memcpy(mine + 4, b, sizeof b);
  const Meeting meeting(mine, 6);
  const int group = lane() / 4, thread = lane() % 4;
  const auto half = [](std::uint32_t word, int k) {
    return std::bit_cast<float>(k % 2 == 0 ? word << 16 : word & 0xffff0000u);
  };
  for (int i = 0; i < 4; ++i) {
    const int row = group + 8 * (i / 2), column = 2 * thread + i % 2;
    for (int k = 0; k < 16; ++k) {
      const int holder = k % 8 / 2;
      const std::uint32_t left = meeting.words_of(row % 8 * 4 + holder)[row / 8 + 2 * (k / 8)];
      const std::uint32_t right = meeting.words_of(column * 4 + holder)[4 + k / 8];
      d[i] += half(left, k) * half(right, k);
    }
  }
}

}  // namespace rubato::emulation
