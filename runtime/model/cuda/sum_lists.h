#pragma once

#include <span>
#include <vector>

#include "runtime/model/cuda/kernels.h"
#include "runtime/model/cuda/pass_lists.h"

namespace rubato::cuda {

/// What is summed of a pass's attention, and where the sums of a step lie: each sequence's mass in
/// all layers, then each one's drift sums. A pure function of the step.
struct SumLists {
  std::vector<SumJob> jobs;
  std::vector<int> sequence_of_job;
  std::vector<SumRow> rows;
  std::vector<std::int64_t> mass_begin;  // by sequence of the step
  std::vector<std::int64_t> mass_size;   // of all layers; 0: not wanted
  std::int64_t all_mass = 0;             // floats of all mass
  std::int64_t size = 0;                 // and of all sums
  int num_tracked = 0;
  int most_keys = 0, most_tracked = 0;
  bool any_mass = false, any_heads = false, any_rows = false;
};

/// The step's layout and the jobs of its reuse pass.
SumLists reuse_sums(std::span<const StepSequence> sequences,
                    const PassLists& pass,
                    int num_layers,
                    int local_heads);

/// The mass of the layers that a refresh computed anew, in the layout of `step`.
SumLists refresh_sums(std::span<const StepSequence> sequences,
                      const PassLists& pass,
                      const SumLists& step);

}  // namespace rubato::cuda
