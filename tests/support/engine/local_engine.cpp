#include "tests/support/engine/local_engine.h"

#include <ATen/Parallel.h>

#include <future>
#include <latch>

#include "runtime/base/check.h"
#include "runtime/checkpoint/checkpoint.h"
#include "runtime/engine/step_loop.h"
#include "runtime/model/cache_shape.h"

namespace rubato::testing {
namespace {

constexpr std::int64_t kCacheTokens = 8192;

}  // namespace

LocalEngine::LocalEngine(const std::filesystem::path& folder,
                         int tp,
                         Storage storage,
                         std::int64_t max_full_rows,
                         MakeModel make_model,
                         bool float8)
    : make_model_(std::move(make_model)), float8_(float8), group_(tp), caches_(tp) {
  auto opened = Checkpoint::open(folder);
  RUBATO_CHECK(opened.ok(), opened.ok() ? "" : opened.error().message);
  auto checkpoint = std::make_shared<Checkpoint>(std::move(opened).value());
  config_ = checkpoint->config();
  coordinator_ = std::make_unique<Coordinator>(
      CoordinatorLimits{.scheduler = {.cache_tokens = kCacheTokens, .max_sequences = 64},
                        .max_full_rows = max_full_rows,
                        .max_queued = 1024,
                        .max_context = config_.max_sequence_length});
  for (int rank = 0; rank < tp; ++rank) {
    threads_.emplace_back(
        [this, rank, checkpoint, storage] { run_rank(rank, *checkpoint, storage); });
  }
}

LocalEngine::~LocalEngine() {
  coordinator_->shut_down(/*finish_running=*/true);
  for (std::thread& thread : threads_) thread.join();
}

void LocalEngine::run_rank(int rank, const Checkpoint& checkpoint, Storage storage) {
  const int tp = group_.size();
  at::set_num_threads(1);  // the ranks are the threads here
  const auto communicator = group_.communicator(rank);
  const auto control = group_.control_channel(rank);
  const auto shape = make_shape(config_, rank, tp, storage, float8_);
  RUBATO_CHECK(shape.ok(), shape.ok() ? "" : shape.error().message);
  if (make_model_) {
    run_steps(rank, *make_model_(*shape, checkpoint, *communicator, kCacheTokens), *control);
    return;
  }
  const ModelWeights weights = load_weights(*shape, checkpoint);
  caches_[rank] = std::make_unique<CacheStore>(cache_shape(*shape, kCacheTokens));
  CpuModel model(*shape, weights, *caches_[rank], *communicator);
  run_steps(rank, model, *control);
}

void LocalEngine::run_steps(int rank, Model& model, ControlChannel& control) {
  StepLoop loop(model,
                control,
                {.mask = config_.mask_token_id, .eos = config_.eos_token_id},
                rank == 0 ? coordinator_.get() : nullptr);
  const Status status = loop.run();
  RUBATO_CHECK(status.ok(), status.ok() ? "" : status.error().message);
}

std::vector<Generated> LocalEngine::generate(const std::vector<GenerationRequest>& requests,
                                             const std::function<void(std::size_t)>& after_step) {
  std::vector<Generated> results(requests.size());
  std::vector<GenerationHandle> handles;
  std::latch left(static_cast<std::ptrdiff_t>(requests.size()));
  for (std::size_t i = 0; i < requests.size(); ++i) {
    Generated& result = results[i];
    result.canvas = requests[i].prompt;
    GenerationRequest request = requests[i];
    result.canvas.resize(request.generated_end(), config_.mask_token_id);
    result.canvas.insert(result.canvas.end(), request.suffix.begin(), request.suffix.end());
    request.trace = true;
    auto handle = coordinator_->submit(
        request, [&result, &left, &after_step, i](const GenerationUpdate& update) {
          for (const Commit& commit : update.commits) result.canvas[commit.position] = commit.token;
          if (update.trace) result.trace.push_back(*update.trace);
          for (const CommitLogprobs& said : update.logprobs) result.logprobs.push_back(said);
          result.stats = update.stats;
          if (after_step) after_step(i);
          if (update.finished || update.error) left.count_down();
        });
    RUBATO_CHECK(handle.ok(), handle.ok() ? "" : handle.error().message);
    handles.push_back(std::move(handle).value());
  }
  left.wait();
  return results;
}

}  // namespace rubato::testing
