#pragma once

#include <cuda_runtime_api.h>

#include "parallel/cuda/recording.h"
#include "runtime/base/check.h"

namespace rubato::detail {

/// Ends the process, naming the call; while a graph is recorded, throws RecordingFailed.
[[noreturn]] inline void gpu_call_failed(const char* call,
                                         const char* file,
                                         int line,
                                         const char* why) {
  if (Recording::under_way()) throw RecordingFailed(concat(call, ": ", why));
  check_failed(call, file, line, why);
}

}  // namespace rubato::detail

/// Ends the process, naming the call, when the CUDA runtime says that it failed. For what cannot be
/// answered otherwise: whether memory suffices is found out before (GpuRank), and whether a call
/// can be recorded in a graph, by recording it (Recording).
#define RUBATO_CUDA(call)                                                    \
  do {                                                                       \
    const cudaError_t rubato_cuda_error = (call);                            \
    if (rubato_cuda_error != cudaSuccess) [[unlikely]]                       \
      ::rubato::detail::gpu_call_failed(                                     \
          #call, __FILE__, __LINE__, cudaGetErrorString(rubato_cuda_error)); \
  } while (false)
