#include "launch/engine_host.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "cache/store/cache_store.h"
#include "parallel/deadline.h"
#include "parallel/rank_watch.h"
#include "parallel/timed_communicator.h"
#include "runtime/base/concat.h"
#include "runtime/checkpoint/checkpoint.h"
#include "runtime/checkpoint/fingerprint.h"
#include "runtime/engine/step_loop.h"
#include "runtime/model/cpu_model.h"
#include "runtime/replicas/links.h"
#include "runtime/replicas/router.h"

namespace rubato {
namespace {

/// `auto` is float32: the only device of this version is the CPU, where bfloat16 saves memory but
/// no time.
Storage storage_of(const ModelSection& model) {
  return model.dtype == "bfloat16" ? Storage::kBFloat16 : Storage::kFloat32;
}

int threads_of(const EngineSection& engine, const Mesh& mesh) {
  if (engine.threads > 0) return engine.threads;
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return std::max(1, cores / mesh.local_size);
}

CacheShape cache_shape(const ModelShape& shape, const EngineSection& engine) {
  return {.num_layers = shape.num_layers,
          .capacity = engine.cache_tokens,
          .hidden_width = shape.local_hidden_width(),
          .head_width = shape.local_head_width(),
          .bfloat16 = shape.storage == Storage::kBFloat16};
}

CoordinatorLimits limits_of(const EngineSection& engine, const ModelConfig& model) {
  return {.scheduler = {.cache_tokens = engine.cache_tokens, .max_sequences = engine.max_sequences},
          .max_full_rows = engine.max_full_rows,
          .max_queued = engine.max_queued,
          .max_queued_prompt_tokens = engine.max_queued_prompt_tokens,
          .queue_timeout = std::chrono::seconds(engine.queue_timeout_s),
          .max_context = model.max_sequence_length};
}

/// What is read from the checkpoint, which is closed again.
struct Loaded {
  ModelConfig config;
  ModelShape shape;
  ModelWeights weights;
};

/// What this rank is about to load. The folders may differ, where machines keep the model in
/// different places.
Statement describe_model(const std::string& folder, const Result<Checkpoint>& checkpoint) {
  if (!checkpoint) return {checkpoint.error().message, {}};
  Statement statement;
  for (Trait& trait : fingerprint(*checkpoint))
    statement.facts.push_back({std::move(trait.name), std::move(trait.value)});
  statement.facts.push_back({"model.path", folder, /*must_agree=*/false});
  return statement;
}

/// The same error on all ranks, before any of them has read its weights; and none goes on before
/// all have.
Result<Loaded> load_model(const ModelSection& model, const Mesh& mesh) {
  const auto checkpoint = Checkpoint::open(model.path);
  const Status alike = agree("the model", describe_model(model.path, checkpoint));
  if (!alike) return alike.error();
  const auto shape =
      make_shape(checkpoint->config(), mesh.tp_rank, mesh.tp_size, storage_of(model));
  if (!shape) return shape.error();  // the same on all
  Loaded loaded{checkpoint->config(), *shape, load_weights(*shape, *checkpoint)};
  if (const Status all = agree("the loaded model", {}); !all) return all.error();
  return loaded;
}

}  // namespace

struct EngineHost::Parts {
  Parts(Loaded loaded, const EngineSection& engine, const Mesh& mesh)
      : config(std::move(loaded.config)),
        weights(std::move(loaded.weights)),
        num_threads(threads_of(engine, mesh)),
        watch(mesh, std::chrono::seconds(engine.watchdog_s), pulse),
        communicator(make_mpi_communicator(mesh, watch)),
        control(make_mpi_control_channel(mesh, watch)),
        cache(cache_shape(loaded.shape, engine)),
        coordinator(mesh.tp_rank == 0
                        ? std::make_unique<Coordinator>(limits_of(engine, config), &pulse)
                        : nullptr),
        shape(loaded.shape),
        is_front(mesh.world_rank == 0) {
    if (mesh.num_replicas > 1) connect(engine, mesh);
  }

  /// Joins the replicas: rank 0 with the leaders of the others.
  void connect(const EngineSection& engine, const Mesh& mesh) {
    const auto deadline = std::chrono::seconds(engine.watchdog_s);
    mailbox = make_mpi_mailbox(deadline);  // on every rank: it is collective
    const LinkWatch link_watch{
        deadline, [deadline](int lost_rank) { end_for_silent_rank(lost_rank, deadline); }};
    if (is_front) {
      std::vector<int> leaders;
      for (int replica = 1; replica < mesh.num_replicas; ++replica)
        leaders.push_back(mesh.leader_of(replica));
      front = std::make_unique<FrontLink>(*mailbox, leaders, limits_of(engine, config), link_watch);
      std::vector<GenerationClient*> replicas = front->replicas();
      replicas.insert(replicas.begin(), coordinator.get());
      router = std::make_unique<Router>(std::move(replicas));
    } else if (mesh.tp_rank == 0) {
      leader = std::make_unique<LeaderLink>(*mailbox, /*front=*/0, *coordinator, link_watch);
    }
  }

  // In order of use: each is destroyed before what it refers to.
  const ModelConfig config;
  const ModelWeights weights;
  const int num_threads;
  Pulse pulse;
  RankWatch watch;
  TimedCommunicator communicator;
  const std::unique_ptr<ControlChannel> control;
  CacheStore cache;
  const std::unique_ptr<Coordinator> coordinator;
  const ModelShape shape;
  const bool is_front;
  std::unique_ptr<Mailbox> mailbox;    // this and the next three: of several replicas only
  std::unique_ptr<FrontLink> front;    // rank 0
  std::unique_ptr<Router> router;      // rank 0
  std::unique_ptr<LeaderLink> leader;  // the other replicas' leaders
};

EngineHost::EngineHost(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

EngineHost::~EngineHost() = default;

Result<std::unique_ptr<EngineHost>> EngineHost::load(const Config& config, const Mesh& mesh) {
  auto loaded = load_model(config.model, mesh);
  if (!loaded) return loaded.error();
  auto parts = std::make_unique<Parts>(*std::move(loaded), config.engine, mesh);
  const std::int64_t cache_mib =
      (parts->cache.shape().bytes_per_token() * parts->cache.shape().capacity) >> 20;
  log_info(concat("model loaded; cache for ",
                  config.engine.cache_tokens,
                  " tokens, up to ",
                  cache_mib,
                  " MiB; ",
                  parts->num_threads,
                  " compute threads"));
  return std::unique_ptr<EngineHost>(new EngineHost(std::move(parts)));
}

const ModelConfig& EngineHost::model() const {
  return parts_->config;
}

Storage EngineHost::storage() const {
  return parts_->shape.storage;
}

int EngineHost::num_threads() const {
  return parts_->num_threads;
}

GenerationClient* EngineHost::client() {
  if (!parts_->is_front) return nullptr;
  if (parts_->router) return parts_->router.get();
  return parts_->coordinator.get();
}

std::int64_t EngineHost::collective_nanoseconds() const {
  return parts_->communicator.nanoseconds();
}

void EngineHost::shut_down(bool finish_running) {
  parts_->coordinator->shut_down(finish_running);
  if (parts_->front) parts_->front->shut_down(finish_running);
}

Status EngineHost::run() {
  // The number is the calling thread's own, hence set here and not where the engine was made.
  at::set_num_threads(parts_->num_threads);
  CpuModel model(parts_->shape, parts_->weights, parts_->cache, parts_->communicator);
  const ControlTokens tokens{.mask = parts_->config.mask_token_id,
                             .eos = parts_->config.eos_token_id};
  StepLoop loop(model, *parts_->control, tokens, parts_->coordinator.get());
  // What rank 0 did until here took what it took; from now on ranks that do not come are lost.
  if (const Status all = agree("the first step", {}); !all) return all;
  const Status status = loop.run();
  parts_->leader.reset();  // tells rank 0
  if (status && parts_->front) parts_->front->wait_until_ended();
  return status;
}

}  // namespace rubato
