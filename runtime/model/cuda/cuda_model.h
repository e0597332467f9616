#pragma once

#include "runtime/model/cuda/context.h"
#include "runtime/model/cuda/head.h"
#include "runtime/model/cuda/layers.h"
#include "runtime/model/cuda/pass_graphs.h"
#include "runtime/model/cuda/step_sums.h"
#include "runtime/model/model.h"

namespace rubato::cuda {

/// What bounds a step.
struct StepBounds {
  std::int64_t cache_rows = 0;   ///< rows of all its canvases
  std::int64_t drift_bytes = 0;  ///< of its drift tests: engine.max_drift_mib
  int head_rows = Head::kRowsAtATime;
};

/// The network on this rank's GPU, over caches in its memory. Work is enqueued on one stream and
/// waited for once a step, in `candidates`; once more, in `reduce`, where a drift test must be
/// decided. Reuse passes of few rows are filled up to a bucket and launched as graphs. Engine
/// thread only.
class CudaModel final : public Model {
 public:
  /// `host` carries what only rows with top_p or top_k exchange. graphs: whether to use them, where
  /// the collectives can be recorded; the bits are the same without. head_rows: as Head's
  /// `rows_at_a_time`; with fewer than a step has, it waits once for each part.
  CudaModel(const ModelShape& shape,
            DeviceWeights& weights,
            DeviceCache& cache,
            Communicator& host,
            DeviceCommunicator& device,
            Stream stream,
            bool graphs = true,
            int head_rows = Head::kRowsAtATime);

  const ModelShape& shape() const override { return context_.shape; }
  void reuse_pass(std::span<const StepSequence> sequences) override;
  std::vector<std::vector<double>> reduce(std::span<const StepSequence> sequences) override;
  void refresh(std::span<const StepSequence> sequences, std::span<const int> boundaries) override;
  void compute_logits(std::span<const StepSequence> sequences) override;
  std::vector<std::vector<Candidate>> candidates(std::span<const StepSequence> sequences,
                                                 TokenId mask_id) override;
  std::span<const float> attention_mass(int sequence) override;

  /// Null: none are used.
  const PassGraphs* graphs() const { return graphs_ ? &*graphs_ : nullptr; }

  /// Bytes of the GPU's memory that a rank's model takes at most, besides weights and caches.
  static std::int64_t scratch_bytes(const ModelShape& shape, const StepBounds& bounds);

 private:
  void run_reuse(const PassLists& lists, const DevicePass& pass);

  Context context_;
  Layers layers_;
  StepSums sums_;
  Head head_;
  std::optional<PassGraphs> graphs_;
};

}  // namespace rubato::cuda
