#pragma once

#include "runtime/model/cuda/context.h"
#include "runtime/model/cuda/head.h"
#include "runtime/model/cuda/layers.h"
#include "runtime/model/cuda/pass_graphs.h"
#include "runtime/model/cuda/step_sums.h"
#include "runtime/model/model.h"

namespace rubato::cuda {

/// What bounds a step, and so the memory for it.
struct StepBounds {
  std::int64_t cache_rows = 0;   ///< rows of all its canvases
  std::int64_t drift_bytes = 0;  ///< of its drift tests: engine.max_drift_mib
  int head_rows = Head::kRowsAtATime;
};

/// The network on this rank's GPU, over caches in its memory. Work is enqueued on one stream and
/// waited for once a step, in `candidates`; once more, in `reduce`, where a drift test must be
/// decided. Reuse passes of few rows are filled up to a bucket and launched as graphs. All memory
/// that steps need is allocated by the constructor. Engine thread only.
class CudaModel final : public Model {
 public:
  /// `host` carries what only rows with top_p or top_k exchange, and whether recording succeeded.
  /// bounds.cache_rows: the cache's; with fewer bounds.head_rows than a step has, it waits once for
  /// each part. graphs: whether to use them, if the collectives can be recorded; the bits are the
  /// same without. Throws OutOfMemory.
  CudaModel(const ModelShape& shape,
            DeviceWeights& weights,
            DeviceCache& cache,
            Communicator& host,
            DeviceCommunicator& device,
            Stream stream,
            const StepBounds& bounds,
            bool graphs = true);

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

  /// Bytes of the GPU's memory that a rank's model takes, besides weights and caches.
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
