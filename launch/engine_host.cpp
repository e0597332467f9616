#include "launch/engine_host.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <limits>
#include <thread>

#include "cache/drift.h"
#include "parallel/deadline.h"
#include "parallel/rank_watch.h"
#include "parallel/timed_communicator.h"
#include "runtime/base/concat.h"
#include "runtime/checkpoint/checkpoint.h"
#include "runtime/checkpoint/fingerprint.h"
#include "runtime/engine/step_loop.h"
#include "runtime/model/rank_model.h"
#include "runtime/replicas/links.h"
#include "runtime/replicas/router.h"

namespace rubato {
namespace {

/// `auto` is float32 on the CPU, where bfloat16 saves memory but no time, and bfloat16 on a GPU.
Storage storage_of(const ModelSection& model, Device device) {
  const bool halves = model.dtype == "auto" ? device == Device::kCuda : model.dtype == "bfloat16";
  return halves ? Storage::kBFloat16 : Storage::kFloat32;
}

int threads_of(const EngineSection& engine, const Mesh& mesh) {
  if (engine.threads > 0) return engine.threads;
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return std::max(1, cores / mesh.local_size);
}

CoordinatorLimits limits_of(const EngineSection& engine,
                            const ModelConfig& model,
                            const ModelShape& shape) {
  return {.scheduler = {.cache_tokens = engine.cache_tokens, .max_sequences = engine.max_sequences},
          .max_full_rows = engine.max_full_rows,
          .drift = {.max_bytes = engine.max_drift_mib << 20,
                    .bytes_per_pair = drift_bytes_per_pair(shape.num_layers, shape.local_heads()),
                    .num_layers = shape.num_layers},
          .max_queued = engine.max_queued,
          .max_queued_prompt_tokens = engine.max_queued_prompt_tokens,
          .queue_timeout = std::chrono::seconds(engine.queue_timeout_s),
          .max_context = model.max_sequence_length};
}

/// The limits of a coordinator on another rank than the front end's, without those of the queue: a
/// refusal there would come too late to try another replica.
CoordinatorLimits without_queue_limits(CoordinatorLimits limits) {
  limits.max_queued = std::numeric_limits<int>::max();
  limits.max_queued_prompt_tokens = std::numeric_limits<std::int64_t>::max();
  return limits;
}

/// Null on all ranks but the first of a replica.
std::unique_ptr<Coordinator> make_coordinator(const CoordinatorLimits& limits,
                                              const Mesh& mesh,
                                              const Pulse& pulse) {
  if (mesh.tp_rank != 0) return nullptr;
  return std::make_unique<Coordinator>(mesh.world_rank == 0 ? limits : without_queue_limits(limits),
                                       &pulse);
}

/// A GPU's first step takes much longer than the next ones.
StepDeadlines deadlines_of(const EngineSection& engine, Device device) {
  const std::chrono::milliseconds later = std::chrono::seconds(engine.watchdog_s);
  if (device == Device::kCpu) return {later, later};
  return {std::max<std::chrono::milliseconds>(kFirstStepDeadline, later), later};
}

/// What is read from the checkpoint, which is then closed.
struct Loaded {
  ModelConfig config;
  ModelShape shape;
  Device device;
  std::int64_t cache_tokens = 0;
  std::unique_ptr<RankModel> model;
};

/// Facts about what this rank is about to load, to be compared. The folders may differ, because
/// machines may keep the model in different places.
Statement describe_model(const std::string& folder,
                         const Result<Checkpoint>& checkpoint,
                         const Result<Device>& device) {
  if (!checkpoint) return {checkpoint.error().message, {}};
  if (!device) return {device.error().message, {}};
  Statement statement;
  for (Trait& trait : fingerprint(*checkpoint))
    statement.facts.push_back({std::move(trait.name), std::move(trait.value)});
  statement.facts.push_back({"device", *device == Device::kCuda ? "cuda" : "cpu"});
  statement.facts.push_back({"model.path", folder, /*must_agree=*/false});
  return statement;
}

/// engine.cache_tokens, and for `auto` what every rank has room for: no more than all sequences
/// that run at once can use. The same on all ranks.
std::int64_t cache_tokens_of(const EngineSection& engine,
                             const ModelShape& shape,
                             const Placement& placement) {
  if (engine.cache_tokens > 0) return engine.cache_tokens;
  if (placement.device == Device::kCpu) return kDefaultCacheTokens;
  std::int64_t tokens = std::int64_t{engine.max_sequences} * shape.max_positions;
  const std::int64_t mine = fitting_cache_tokens(shape, placement, tokens);
  for (const std::string& fitting : gather_texts(concat(mine), "the ranks' cache tokens"))
    tokens = std::min<std::int64_t>(tokens, std::stoll(fitting));
  return tokens;
}

/// Returns the same error on all ranks, before any of them has read its weights; none continues
/// before all have read theirs.
Result<Loaded> load_model(const Config& config, const Mesh& mesh) {
  const auto checkpoint = Checkpoint::open(config.model.path);
  const Result<Device> device = choose_device(config.engine.device);
  // Free memory is read once all ranks have taken their GPUs, and before any rank loads, which the
  // agreement guarantees.
  const RankGpu gpu = device ? take_gpu(*device, mesh.local_rank) : RankGpu{};
  const std::int64_t memory = memory_share(gpu, gather_texts(gpu.uuid, "the ranks' GPUs"));
  const Status alike = agree("the model", describe_model(config.model.path, checkpoint, device));
  if (!alike) return alike.error();
  auto shape = make_shape(checkpoint->config(),
                          mesh.tp_rank,
                          mesh.tp_size,
                          storage_of(config.model, *device),
                          config.model.quantization == "fp8");
  if (!shape) return shape.error();  // the same on all ranks
  shape->batch_invariant = config.engine.batch_invariant == "on";
  Placement placement{.device = *device,
                      .memory_bytes = memory,
                      .drift_bytes = config.engine.max_drift_mib << 20,
                      .gpu = gpu.index,
                      .cuda_graphs = config.engine.cuda_graphs != "off"};
  placement.cache_tokens = cache_tokens_of(config.engine, *shape, placement);
  Result<std::unique_ptr<RankModel>> model = load_rank_model(*shape, *checkpoint, placement);
  const Status all = agree("the loaded model", {model ? "" : model.error().message, {}});
  if (!all) return all.error();
  return Loaded{checkpoint->config(), *shape, *device, placement.cache_tokens, *std::move(model)};
}

}  // namespace

struct EngineHost::Parts {
  Parts(Loaded loaded, const EngineSection& engine, const Mesh& mesh)
      : config(std::move(loaded.config)),
        num_threads(threads_of(engine, mesh)),
        deadlines(deadlines_of(engine, loaded.device)),
        watch(mesh, deadlines.first, pulse),
        communicator(make_mpi_communicator(mesh, watch), pulse),
        control(make_mpi_control_channel(mesh, watch)),
        model(std::move(loaded.model)),
        shape(loaded.shape),
        coordinator(make_coordinator(limits_of(engine, config, shape), mesh, pulse)),
        world_rank(mesh.world_rank),
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
      front = std::make_unique<FrontLink>(
          *mailbox, leaders, limits_of(engine, config, shape), link_watch);
      std::vector<GenerationClient*> replicas = front->replicas();
      replicas.insert(replicas.begin(), coordinator.get());
      router = std::make_unique<Router>(std::move(replicas));
    } else if (mesh.tp_rank == 0) {
      leader = std::make_unique<LeaderLink>(*mailbox, /*front=*/0, *coordinator, link_watch);
    }
  }

  // In order of use: each is destroyed before what it refers to.
  const ModelConfig config;
  const int num_threads;
  Pulse pulse;
  const StepDeadlines deadlines;
  RankWatch watch;
  TimedCommunicator communicator;
  const std::unique_ptr<ControlChannel> control;
  const std::unique_ptr<RankModel> model;
  const ModelShape shape;
  const std::unique_ptr<Coordinator> coordinator;
  const int world_rank;
  const bool is_front;
  std::unique_ptr<Mailbox> mailbox;    // this and the next three: only with several replicas
  std::unique_ptr<FrontLink> front;    // rank 0
  std::unique_ptr<Router> router;      // rank 0
  std::unique_ptr<LeaderLink> leader;  // the other replicas' leaders
};

EngineHost::EngineHost(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

EngineHost::~EngineHost() = default;

Result<std::unique_ptr<EngineHost>> EngineHost::load(const Config& config, const Mesh& mesh) {
  at::set_num_threads(threads_of(config.engine, mesh));  // of this thread, which packs the weights
  auto loaded = load_model(config, mesh);
  if (!loaded) return loaded.error();
  EngineSection engine = config.engine;
  engine.cache_tokens = loaded->cache_tokens;
  auto parts = std::make_unique<Parts>(*std::move(loaded), engine, mesh);
  log_info(concat(
      "model loaded; ", parts->model->description(), "; ", parts->num_threads, " compute threads"));
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
  return std::chrono::nanoseconds(parts_->pulse.exchanging()).count();
}

void EngineHost::shut_down(bool finish_running) {
  parts_->coordinator->shut_down(finish_running);
  if (parts_->front) parts_->front->shut_down(finish_running);
}

Status EngineHost::run(const std::function<void()>& started) {
  const Status status = run_steps(started);
  if (!status && parts_->coordinator) parts_->coordinator->fail(status.error());
  parts_->leader.reset();  // sends rank 0 its last message
  if (!status && !parts_->is_front) end_for_failure(parts_->world_rank, status.error().message);
  if (status && parts_->front) parts_->front->wait_until_ended();
  return status;
}

Status EngineHost::run_steps(const std::function<void()>& started) {
  // The number belongs to the calling thread, so it is set here, not where the engine was made.
  at::set_num_threads(parts_->num_threads);
  // Until here rank 0 had no deadline.
  if (Status all = agree("the start of the model", {}); !all) return all;
  const Result<Model*> model = start_model();
  // A GPU may take its time to start; from now on a rank that is missing is lost.
  const Status all = agree("the first step", {model ? "" : model.error().message, {}});
  if (!all) return all;
  if (started) started();
  const ControlTokens tokens{.mask = parts_->config.mask_token_id,
                             .eos = parts_->config.eos_token_id};
  return StepLoop(**model, *parts_->control, tokens, parts_->coordinator.get()).run([this] {
    parts_->watch.set_patience(parts_->deadlines.later);
  });
}

Result<Model*> EngineHost::start_model() {
  try {
    return parts_->model->start(parts_->communicator, parts_->deadlines);
  } catch (const std::exception& failure) {  // from the device
    return Error{Code::kInternal, concat("the model cannot start: ", failure.what())};
  }
}

}  // namespace rubato
