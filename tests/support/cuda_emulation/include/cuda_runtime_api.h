#pragma once

// Stands in for the CUDA runtime where there is neither toolkit nor GPU: memory is the process's
// own, a stream runs late (device.h), and a kernel runs thread by thread (emulation.h). What the
// tests of runtime/model/cuda compile against in a CPU build.

#include <cstddef>
#include <utility>

#include "tests/support/cuda_emulation/device.h"

using cudaStream_t = struct CUstream_st*;
using cudaEvent_t = struct CUevent_st*;
using cudaGraph_t = struct CUgraph_st*;
using cudaGraphExec_t = struct CUgraph_st*;

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidDevice = 101,
  cudaErrorNotReady = 600,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
constexpr unsigned cudaStreamNonBlocking = 1;

struct cudaUUID_t {
  char bytes[16];
};
struct cudaDeviceProp {
  char name[256];
  cudaUUID_t uuid;
};

inline const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
    default:
      return "an error of the emulation";
  }
}
inline cudaError_t cudaGetLastError() {
  return static_cast<cudaError_t>(std::exchange(rubato::emulation::last_error(), 0));
}
inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = static_cast<int>(rubato::emulation::seen_devices().size());
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int device) {
  int count = 0;
  cudaGetDeviceCount(&count);
  if (device < 0 || device >= count) return cudaErrorInvalidDevice;
  rubato::emulation::current_device() = device;
  return cudaSuccess;
}
inline cudaError_t cudaGetDevice(int* device) {
  *device = rubato::emulation::current_device();
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  *properties = {.name = "Emulated GPU", .uuid = {}};
  properties->uuid.bytes[0] =
      static_cast<char>(rubato::emulation::seen_devices().at(static_cast<std::size_t>(device)));
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
  bool told = false;
  switch (kind) {
    case cudaMemcpyHostToDevice:
      told = rubato::emulation::copy_to_device(to, from, bytes, stream);
      break;
    case cudaMemcpyDeviceToHost:
      told = rubato::emulation::copy_to_host(to, from, bytes, stream);
      break;
    case cudaMemcpyDeviceToDevice:
      told = rubato::emulation::copy_on_device(to, from, bytes, stream);
      break;
  }
  return told ? cudaSuccess : static_cast<cudaError_t>(rubato::emulation::last_error());
}
inline cudaError_t cudaMemsetAsync(void* to,
                                   int value,
                                   std::size_t bytes,
                                   cudaStream_t stream = nullptr) {
  const bool told = bytes == 0 || rubato::emulation::fill(to, value, bytes, stream);
  return told ? cudaSuccess : static_cast<cudaError_t>(rubato::emulation::last_error());
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
  if (!rubato::emulation::advance(stream)) return cudaSuccess;
  rubato::emulation::last_error() = cudaErrorNotReady;
  return cudaErrorNotReady;
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
