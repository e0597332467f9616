#include "runtime/model/cuda/device_memory.h"

#include <algorithm>
#include <utility>

#include "parallel/cuda/cuda_check.h"

namespace rubato::cuda {

Memory::Memory(Memory&& other) noexcept
    : place_(other.place_),
      memory_(std::exchange(other.memory_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      moves_(other.moves_) {}

Memory& Memory::operator=(Memory&& other) noexcept {
  std::swap(place_, other.place_);
  std::swap(memory_, other.memory_);
  std::swap(size_, other.size_);
  std::swap(moves_, other.moves_);
  return *this;
}

Memory::~Memory() {
  if (memory_ != nullptr)
    static_cast<void>(place_ == Place::kDevice ? cudaFree(memory_) : cudaFreeHost(memory_));
}

void* Memory::bytes(std::size_t bytes) {
  if (bytes <= size_) return memory_;
  const std::size_t roomy = std::max(bytes, size_ + size_ / 4);
  // (cudaFree waits for the work that may still use the old memory.)
  if (memory_ != nullptr)
    RUBATO_CUDA(place_ == Place::kDevice ? cudaFree(memory_) : cudaFreeHost(memory_));
  memory_ = nullptr;
  size_ = 0;
  const auto take = [this](std::size_t size) {
    return place_ == Place::kDevice ? cudaMalloc(&memory_, size) : cudaMallocHost(&memory_, size);
  };
  size_ = roomy;
  if (roomy > bytes && take(roomy) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    size_ = bytes;
  }
  if (memory_ == nullptr) RUBATO_CUDA(take(size_));
  ++moves_;
  return memory_;
}

}  // namespace rubato::cuda
