#pragma once

#include <functional>
#include <limits>
#include <vector>

#include "runtime/engine/generation.h"
#include "tests/support/reference/network.h"

namespace rubato::testing::reference {

/// By layer: the hidden input X [positions, d_model] before its norm; Q and K after RoPE, and V:
/// [heads, positions, head_dim].
struct Caches {
  std::vector<at::Tensor> x, q, k, v;
};

/// What a step did, and what tests want to know beside that.
struct Step {
  StepTrace trace;
  std::vector<CommitLogprobs> logprobs;  ///< of the commits, where asked for
  double margin = 0;           ///< see Margin: how near a decision of this step was to another
  std::vector<Position> rows;  ///< of a reuse pass, a position that is there twice included
  int picked_mask = 0;         ///< eligible positions that sat the step out
  int eligible = 0;
  Position reach = 0;  ///< the canvas ended here: what lies behind was not looked at
};

struct Decoded {
  std::vector<TokenId> canvas;  ///< MASK where nothing was committed
  std::vector<Step> steps;
};

/// Departures from what the request says, for tests of what follows from what.
struct Departures {
  bool whole_window = false;  ///< every step a full forward, its window that of `elastic`
  int untested_from_layer = std::numeric_limits<int>::max();  ///< these layers run no drift test
};

/// Fills a canvas in: one sequence, one layer after the other, the drift test inside the loop over
/// layers. `after_step` sees the caches as each step leaves them.
Decoded decode(const Network& network,
               const GenerationRequest& request,
               const Departures& departures = {},
               const std::function<void(const Caches&)>& after_step = {});

}  // namespace rubato::testing::reference
