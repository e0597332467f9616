#include <cstdio>
#include <cstdlib>
#include <string>

#include "parallel/cuda/recording.h"
#include "runtime/model/cuda/device_code.h"

namespace rubato::cuda {

void check_launch(const char* kernel) {
  const cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) return;
  const char* why = cudaGetErrorString(error);
  if (Recording::under_way()) throw RecordingFailed(std::string("kernel ") + kernel + ": " + why);
  std::fprintf(stderr, "rubato: kernel %s: %s\n", kernel, why);
  std::abort();
}

}  // namespace rubato::cuda
