#pragma once

#include <cuda_runtime_api.h>

#include "runtime/base/check.h"

/// Ends the process, naming the call, when the CUDA runtime says that it failed. For what cannot be
/// answered otherwise: whether memory suffices is found out before (GpuRank).
#define RUBATO_CUDA(call)                                                                      \
  do {                                                                                         \
    const cudaError_t rubato_cuda_error = (call);                                              \
    RUBATO_CHECK(                                                                              \
        rubato_cuda_error == cudaSuccess, #call, ": ", cudaGetErrorString(rubato_cuda_error)); \
  } while (false)
