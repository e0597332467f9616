#pragma once

// Stands in for the CUDA runtime where there is neither toolkit nor GPU: memory is the process's
// own, a stream runs late (device.h), and a kernel runs thread by thread (emulation.h). What the
// tests of runtime/model/cuda compile against in a CPU build.

#include <cstddef>

#include "tests/support/cuda_emulation/device.h"

using cudaStream_t = struct CUstream_st*;
using cudaEvent_t = struct CUevent_st*;
using cudaGraph_t = struct CUgraph_st*;
using cudaGraphExec_t = struct CUgraph_st*;

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorMemoryAllocation = 2,
  cudaErrorNotReady = 600,
  cudaErrorStreamCaptureInvalidated = 901
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
constexpr unsigned cudaStreamNonBlocking = 1;

inline const char* cudaGetErrorString(cudaError_t) {
  return "an error of the emulation";
}
inline cudaError_t cudaGetLastError() {
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int) {
  return cudaSuccess;
}
inline cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *free = *total = std::size_t{1} << 30;
  return cudaSuccess;
}

template <class T>
cudaError_t cudaMalloc(T** memory, std::size_t bytes) {
  *memory = static_cast<T*>(rubato::emulation::allocate(bytes, /*pinned=*/false));
  return *memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
template <class T>
cudaError_t cudaMallocHost(T** memory, std::size_t bytes) {
  *memory = static_cast<T*>(rubato::emulation::allocate(bytes, /*pinned=*/true));
  return *memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
inline cudaError_t cudaFree(void* memory) {
  rubato::emulation::free(memory);
  return cudaSuccess;
}
inline cudaError_t cudaFreeHost(void* memory) {
  return cudaFree(memory);
}
inline cudaError_t cudaMemcpyAsync(void* to,
                                   const void* from,
                                   std::size_t bytes,
                                   cudaMemcpyKind kind,
                                   cudaStream_t stream = nullptr) {
  if (bytes == 0) return cudaSuccess;
  switch (kind) {
    case cudaMemcpyHostToDevice:
      rubato::emulation::copy_to_device(to, from, bytes, stream);
      break;
    case cudaMemcpyDeviceToHost:
      rubato::emulation::copy_to_host(to, from, bytes, stream);
      break;
    case cudaMemcpyDeviceToDevice:
      rubato::emulation::copy_on_device(to, from, bytes, stream);
      break;
  }
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* to,
                                   int value,
                                   std::size_t bytes,
                                   cudaStream_t stream = nullptr) {
  if (bytes > 0) rubato::emulation::fill(to, value, bytes, stream);
  return cudaSuccess;
}
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = rubato::emulation::make_stream();
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  rubato::emulation::destroy_stream(stream);
  return cudaSuccess;
}
inline cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return rubato::emulation::advance(stream) ? cudaErrorNotReady : cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  rubato::emulation::wait(stream);
  return cudaSuccess;
}
inline cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  rubato::emulation::begin_capture(stream);
  return cudaSuccess;
}
inline cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = rubato::emulation::end_capture(stream);
  return *graph == nullptr ? cudaErrorStreamCaptureInvalidated : cudaSuccess;
}
inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable,
                                        cudaGraph_t graph,
                                        unsigned long long) {
  *executable = rubato::emulation::copy_graph(graph);
  return cudaSuccess;
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  rubato::emulation::destroy_graph(graph);
  return cudaSuccess;
}
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  rubato::emulation::destroy_graph(executable);
  return cudaSuccess;
}
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  rubato::emulation::launch_graph(executable, stream);
  return cudaSuccess;
}
