#include "runtime/model/cuda/device_memory.h"

#include <utility>

#include "parallel/cuda/cuda_check.h"

namespace rubato::cuda {

Memory::Memory(Memory&& other) noexcept
    : place_(other.place_),
      memory_(std::exchange(other.memory_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

Memory& Memory::operator=(Memory&& other) noexcept {
  std::swap(place_, other.place_);
  std::swap(memory_, other.memory_);
  std::swap(size_, other.size_);
  return *this;
}

Memory::~Memory() {
  if (memory_ != nullptr)
    static_cast<void>(place_ == Place::kDevice ? cudaFree(memory_) : cudaFreeHost(memory_));
}

void* Memory::bytes(std::size_t bytes) {
  if (bytes <= size_) return memory_;
  RUBATO_CHECK(memory_ == nullptr, bytes, " bytes are asked for of ", size_);
  const bool device = place_ == Place::kDevice;
  const cudaError_t status = device ? cudaMalloc(&memory_, bytes) : cudaMallocHost(&memory_, bytes);
  if (status != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    throw OutOfMemory(concat(bytes,
                             " bytes of ",
                             device ? "the GPU's memory" : "the host's memory, pinned,",
                             " cannot be had: ",
                             cudaGetErrorString(status)));
  }
  size_ = bytes;
  return memory_;
}

}  // namespace rubato::cuda
