#pragma once

#include "tests/support/engine/local_engine.h"

namespace rubato::cuda::testing {

/// For LocalEngine: ranks whose models are on the GPU, all on one, their sums through the host.
rubato::testing::MakeModel make_cuda_model();

}  // namespace rubato::cuda::testing
