#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "cache/store/cache_store.h"
#include "parallel/local_group.h"
#include "runtime/engine/coordinator.h"
#include "runtime/model/cpu_model.h"

namespace rubato::testing {

inline constexpr std::int64_t kFewFullRows = 100;

/// What a generation came to.
struct Generated {
  std::vector<TokenId> canvas;  ///< MASK where nothing was committed
  std::vector<StepTrace> trace;
  std::vector<CommitLogprobs> logprobs;  ///< of all commits, step by step, where asked for
  GenerationStats stats;
};

/// When a request is submitted: at once, or as soon as an earlier one of the list has had so many
/// updates, or its last.
struct Arrival {
  std::optional<std::size_t> after;
  int updates = 1;
};

/// Makes a rank's model over caches of its own, of so many tokens. Called on the rank's thread.
using MakeModel = std::function<std::shared_ptr<Model>(const ModelShape& shape,
                                                       const Checkpoint& checkpoint,
                                                       Communicator& communicator,
                                                       std::int64_t cache_tokens)>;

/// A whole engine in this process: `tp` ranks as threads, over a checkpoint folder. A step takes
/// few rows of full forwards unless told otherwise, so that batches of requests show what
/// postponing does.
class LocalEngine {
 public:
  /// `make_model`: null for the CPU's.
  LocalEngine(const std::filesystem::path& checkpoint,
              int tp,
              Storage storage = Storage::kFloat32,
              std::int64_t max_full_rows = kFewFullRows,
              MakeModel make_model = {},
              bool float8 = false);
  ~LocalEngine();

  Coordinator& coordinator() { return *coordinator_; }
  const ModelConfig& config() const { return config_; }

  /// Submits all requests at once and waits for all of them. They run in one batch as far as the
  /// cache allows. `after_step` is told the request after each of its steps; the caches stand still
  /// meanwhile.
  std::vector<Generated> generate(const std::vector<GenerationRequest>& requests,
                                  const std::function<void(std::size_t)>& after_step = {});

  /// The same with each request submitted when its arrival says. Where all but one arrive after
  /// another, every step has the same participants each time.
  std::vector<Generated> generate_staggered(
      const std::vector<GenerationRequest>& requests,
      const std::vector<Arrival>& arrivals,
      const std::function<void(std::size_t)>& after_step = {});

  /// A rank's caches; a request that runs alone has the slot from row 0 on.
  const CacheStore& cache(int rank) const { return *caches_[rank]; }

 private:
  void run_rank(int rank, const Checkpoint& checkpoint, Storage storage);
  void run_steps(int rank, Model& model, ControlChannel& control);

  const MakeModel make_model_;
  const bool float8_;
  ModelConfig config_;
  LocalGroup group_;
  std::unique_ptr<Coordinator> coordinator_;
  std::vector<std::unique_ptr<CacheStore>> caches_;  // by rank
  std::vector<std::thread> threads_;
};

}  // namespace rubato::testing
