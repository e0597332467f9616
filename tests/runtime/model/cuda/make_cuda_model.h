#pragma once

#include <memory>

#include "runtime/model/cuda/cuda_model.h"
#include "runtime/model/cuda/owned_stream.h"
#include "tests/support/engine/local_engine.h"

namespace rubato::cuda::testing {

/// A rank's model on its thread's current GPU and what it refers to.
struct Rank {
  Rank(const ModelShape& shape,
       const Checkpoint& checkpoint,
       Communicator& communicator,
       std::int64_t cache_tokens,
       bool graphs = true,
       int head_rows = Head::kRowsAtATime,
       std::int64_t drift_bytes = 16 << 20);

  OwnedStream stream;
  std::unique_ptr<DeviceCommunicator> device;
  DeviceWeights weights;
  DeviceCache cache;
  CudaModel model;
};

/// For LocalEngine.
rubato::testing::MakeModel make_cuda_model();

}  // namespace rubato::cuda::testing
