#include <ATen/ops/from_blob.h>

#include "parallel/cuda/cuda_check.h"
#include "parallel/cuda/device_communicator.h"

namespace rubato {

void SingleDeviceCommunicator::all_gather(const void* mine,
                                          void* all,
                                          std::int64_t bytes,
                                          Stream stream) {
  RUBATO_CUDA(cudaMemcpyAsync(all, mine, bytes, cudaMemcpyDeviceToDevice, stream));
}

void SingleDeviceCommunicator::wait(Stream stream) {
  RUBATO_CUDA(cudaStreamSynchronize(stream));
}

StagedCommunicator::StagedCommunicator(Communicator& host) : host_(host) {}

StagedCommunicator::~StagedCommunicator() {
  static_cast<void>(cudaFreeHost(memory_));
}

std::byte* StagedCommunicator::staged(std::int64_t bytes) {
  if (bytes > size_) {
    RUBATO_CUDA(cudaFreeHost(memory_));
    void* memory = nullptr;
    RUBATO_CUDA(cudaMallocHost(&memory, bytes));
    memory_ = static_cast<std::byte*>(memory);
    size_ = bytes;
  }
  return memory_;
}

void StagedCommunicator::all_reduce_sum(float* values, std::int64_t count, Stream stream) {
  const auto bytes = static_cast<std::size_t>(count) * sizeof(float);
  auto* host = reinterpret_cast<float*>(staged(static_cast<std::int64_t>(bytes)));
  RUBATO_CUDA(cudaMemcpyAsync(host, values, bytes, cudaMemcpyDeviceToHost, stream));
  wait(stream);
  at::Tensor tensor = at::from_blob(host, {count}, at::kFloat);
  host_.all_reduce_sum(tensor);
  RUBATO_CUDA(cudaMemcpyAsync(values, host, bytes, cudaMemcpyHostToDevice, stream));
  wait(stream);  // the staging memory is used again
}

void StagedCommunicator::all_gather(const void* mine,
                                    void* all,
                                    std::int64_t bytes,
                                    Stream stream) {
  const std::int64_t ranks = host_.size();
  std::byte* host = staged(bytes * (ranks + 1));
  RUBATO_CUDA(cudaMemcpyAsync(host, mine, bytes, cudaMemcpyDeviceToHost, stream));
  wait(stream);
  const at::Tensor part = at::from_blob(host, {bytes}, at::kByte);
  at::Tensor whole = at::from_blob(host + bytes, {ranks, bytes}, at::kByte);
  host_.all_gather(part, whole);
  RUBATO_CUDA(cudaMemcpyAsync(all, host + bytes, bytes * ranks, cudaMemcpyHostToDevice, stream));
  wait(stream);
}

void StagedCommunicator::wait(Stream stream) {
  RUBATO_CUDA(cudaStreamSynchronize(stream));
}

}  // namespace rubato
