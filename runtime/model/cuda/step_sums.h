#pragma once

#include "runtime/model/cuda/context.h"
#include "runtime/model/cuda/layers.h"
#include "runtime/model/cuda/sum_lists.h"

namespace rubato::cuda {

/// What a step sums of its attention: the drift sums of the reuse pass and everybody's mass, in the
/// one buffer that ranks add up. A step is `begin`; of its reuse pass `prepare`, then, around and
/// between its layers, `before_pass`, `after_layer`, `after_pass`; `reduce`; of a refresh
/// `prepare_refresh` and `sum_refresh`. Engine thread only.
class StepSums {
 public:
  /// rows: the most that a pass has; drift_bytes: the most that the sums of a step's drift tests
  /// take. Throws OutOfMemory.
  StepSums(Context& context, std::int64_t rows, std::int64_t drift_bytes);

  /// Makes the mass 0, which not every layer of every sequence gets. lists: reuse_sums, filled up
  /// or not.
  void begin(SumLists lists);

  /// Adds the lists of the reuse pass to the plan. lse: Layers::lse.
  void prepare(const PassLists& reuse, const DevicePass& pass, const float* lse);
  const OldRows& old_rows() const { return old_; }
  void before_pass();
  void after_layer(int b);
  void after_pass();

  /// Adds up the ranks' sums. Each sequence's similarity by layer, empty where no test ran. Waits
  /// for the GPU where one did.
  std::vector<std::vector<double>> reduce(std::size_t num_sequences);

  /// Adds the lists of a refresh to the plan; `sum_refresh` then puts the mass of the layers that
  /// it computed in the place of the reuse pass's.
  void prepare_refresh(std::span<const StepSequence> sequences,
                       const PassLists& refresh,
                       const float* lse);
  void sum_refresh();

  /// Enqueues the copy of the mass, on the rank that decides what is tracked.
  void copy_mass_to_host();
  /// [layers, canvas_length] of a tracking sequence, when that copy has been waited for.
  std::span<const float> mass(int sequence);

  /// The bytes of GPU memory that it takes, without those that Context counts.
  static std::int64_t scratch_bytes(const ModelShape& shape,
                                    std::int64_t rows,
                                    std::int64_t drift_bytes);

 private:
  SumTask task_of(const SumLists& lists, const PassLists& pass, const float* lse);
  void sum(SumTask task, int first_layer, int num_layers);

  Context& context_;
  const ModelShape& shape_;
  SumLists lists_;  // of the reuse pass, with the layout of all sums
  SumTask task_;    // of the reuse pass
  SumLists refresh_lists_;
  SumTask refresh_task_;
  int refresh_boundary_ = 0;                 // the least
  const std::int32_t* pass_rows_ = nullptr;  // the reuse pass's cache rows
  int num_pass_rows_ = 0;
  OldRows old_;

  Memory row_of_;         // [capacity]: mark_rows' map, -1 between passes
  Memory old_q_, old_k_;  // [kept layers, rows, local_head_width]
  Memory old_lse_;        // [layers, tracked rows, heads]
  Memory sums_;           // SumLists' layout
  Memory similarity_, host_similarity_{Memory::Place::kPinned};  // [jobs, layers]
  Memory host_mass_{Memory::Place::kPinned};
};

}  // namespace rubato::cuda
