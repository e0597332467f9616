#include "runtime/model/cuda/device_plan.h"

#include "parallel/cuda/cuda_check.h"

namespace rubato::cuda {

void DevicePlan::upload(Stream stream) {
  RUBATO_CUDA(cudaMemcpyAsync(
      device_ + uploaded_, host_ + uploaded_, size_ - uploaded_, cudaMemcpyHostToDevice, stream));
  uploaded_ = size_;
}

}  // namespace rubato::cuda
