#pragma once

#include "parallel/cuda/cuda_check.h"
#include "runtime/model/cuda/kernels.h"

namespace rubato::cuda {

/// A stream of the current GPU; owns it.
class OwnedStream {
 public:
  OwnedStream() { RUBATO_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  ~OwnedStream() { static_cast<void>(cudaStreamDestroy(stream_)); }
  OwnedStream(const OwnedStream&) = delete;
  OwnedStream& operator=(const OwnedStream&) = delete;
  Stream get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

}  // namespace rubato::cuda
