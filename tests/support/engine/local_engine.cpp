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

/// Of a request that has had no update.
Generated nothing_yet(const GenerationRequest& request, TokenId mask) {
  Generated result;
  result.canvas = request.prompt;
  result.canvas.resize(request.generated_end(), mask);
  result.canvas.insert(result.canvas.end(), request.suffix.begin(), request.suffix.end());
  return result;
}

void add(Generated& result, const GenerationUpdate& update) {
  for (const Commit& commit : update.commits) result.canvas[commit.position] = commit.token;
  if (update.trace) result.trace.push_back(*update.trace);
  for (const CommitLogprobs& said : update.logprobs) result.logprobs.push_back(said);
  result.stats = update.stats;
}

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
  return generate_staggered(requests, std::vector<Arrival>(requests.size()), after_step);
}

std::vector<Generated> LocalEngine::generate_staggered(
    const std::vector<GenerationRequest>& requests,
    const std::vector<Arrival>& arrivals,
    const std::function<void(std::size_t)>& after_step) {
  std::vector<Generated> results(requests.size());
  std::vector<int> num_updates(requests.size());
  std::vector<GenerationHandle> handles(requests.size());
  std::latch left(static_cast<std::ptrdiff_t>(requests.size()));
  std::function<void(std::size_t)> submit;
  const auto hear = [&](std::size_t i, const GenerationUpdate& update) {
    add(results[i], update);
    if (after_step) after_step(i);
    const bool ended = update.finished || update.error;
    const int so_far = ++num_updates[i];
    for (std::size_t next = i + 1; next < arrivals.size(); ++next) {
      const auto& [after, updates] = arrivals[next];
      if (after == i && (so_far == updates || (ended && so_far < updates))) submit(next);
    }
    if (ended) left.count_down();
  };
  submit = [&](std::size_t i) {
    results[i] = nothing_yet(requests[i], config_.mask_token_id);
    GenerationRequest request = requests[i];
    request.trace = true;
    auto handle = coordinator_->submit(
        std::move(request), [&hear, i](const GenerationUpdate& update) { hear(i, update); });
    RUBATO_CHECK(handle.ok(), handle.ok() ? "" : handle.error().message);
    handles[i] = std::move(handle).value();
  };
  for (std::size_t i = 0; i < requests.size(); ++i)
    if (!arrivals[i].after) submit(i);
  left.wait();
  return results;
}

}  // namespace rubato::testing
