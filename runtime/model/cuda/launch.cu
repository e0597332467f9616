#include <cstdio>
#include <cstdlib>

#include "runtime/model/cuda/device_code.h"

namespace rubato::cuda {

void check_launch(const char* kernel) {
  const cudaError_t error = cudaGetLastError();
  // A capture that has failed fails at its end, too, where it is given up.
  if (error == cudaSuccess || error == cudaErrorStreamCaptureInvalidated) return;
  std::fprintf(stderr, "rubato: kernel %s: %s\n", kernel, cudaGetErrorString(error));
  std::abort();
}

}  // namespace rubato::cuda
