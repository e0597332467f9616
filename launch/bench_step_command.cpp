#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "benchmarks/step/step_bench.h"
#include "launch/bench_run.h"
#include "launch/commands.h"
#include "launch/refuse.h"
#include "launch/report_file.h"
#include "parallel/deadline.h"
#include "runtime/base/concat.h"
#include "runtime/model/rank_model.h"

namespace rubato {
namespace {

struct StepArguments {
  std::string shape = "small";
  std::string device = "auto";
  std::string dtype = "auto";
  std::string quantization = "none";
  bool cuda_graphs = true;
  bool batch_invariant = false;
  std::vector<int> rows = {1, 16, 64};
  std::vector<int> canvases = {256};
  std::vector<int> boundaries = {0};
  std::vector<int> sequences = {1};
  int repeat = 10;
  int threads = 0;
  HardwareLimits limits;
  std::string json;
};

std::vector<StepCase> cases_of(const StepArguments& arguments) {
  std::vector<StepCase> cases;
  for (const int sequences : arguments.sequences) {
    for (const int canvas : arguments.canvases) {
      for (const int rows : arguments.rows) {
        if (rows > 0 && rows <= canvas) cases.push_back({rows, canvas, 0, sequences});
      }
      for (const int boundary : arguments.boundaries) {
        if (boundary >= 0) cases.push_back({0, canvas, boundary, sequences});
      }
    }
  }
  return cases;
}

constexpr const char* kBenchStep = "bench step";

/// The requested network, on the requested device.
Result<ModelShape> shape_of(const StepArguments& arguments, Device device) {
  const bool halves =
      arguments.dtype == "auto" ? device == Device::kCuda : arguments.dtype == "bfloat16";
  Result<ModelShape> shape =
      shape_named(arguments.shape, halves ? Storage::kBFloat16 : Storage::kFloat32);
  if (!shape) return shape;
  shape->float8 = arguments.quantization == "fp8";
  shape->batch_invariant = arguments.batch_invariant;
  if (shape->float8 && device == Device::kCpu) {
    return Error{Code::kInvalidArgument,
                 "weights of 8 bits are no faster on a processor, where they are kept in more; "
                 "allowed there: none",
                 "--quantization"};
  }
  return shape;
}

Status check(const std::vector<StepCase>& cases, const ModelShape& shape) {
  for (const StepCase& step : cases) {
    if (step.canvas > shape.max_positions || step.boundary >= shape.num_layers) {
      return Error{Code::kInvalidArgument,
                   concat("a canvas of ",
                          step.canvas,
                          ", refreshed from layer ",
                          step.boundary,
                          "; allowed: up to ",
                          shape.max_positions,
                          " positions, layers 0 to ",
                          shape.num_layers - 1)};
    }
  }
  return {};
}

/// A placement with room for the largest of the cases.
Placement placement_of(const std::vector<StepCase>& cases, const ModelShape& shape, Device device) {
  const RankGpu gpu = take_gpu(device, /*local_rank=*/0);
  Placement placement{
      .device = device,
      .memory_bytes = memory_share(gpu, {&gpu.uuid, 1}),
      .cache_tokens = 1,
      .gpu = gpu.index,
  };
  for (const StepCase& step : cases) {
    placement.cache_tokens =
        std::max(placement.cache_tokens, std::int64_t{step.sequences} * step.canvas);
    placement.drift_bytes = std::max(placement.drift_bytes, drift_bytes_of(shape, step));
  }
  return placement;
}

int run(const StepArguments& arguments, ProgramArguments program) {
  const Result<Device> device = choose_device(arguments.device);
  if (!device) return refuse(kBenchStep, device.error());
  const Result<ModelShape> shape = shape_of(arguments, *device);
  if (!shape) return refuse(kBenchStep, shape.error());
  const std::vector<StepCase> cases = cases_of(arguments);
  const Status possible = check(cases, *shape);
  if (!possible) return refuse(kBenchStep, possible.error());
  if (arguments.threads > 0) at::set_num_threads(arguments.threads);

  StepSetup setup{.provenance = provenance_of(program),
                  .shape = arguments.shape,
                  .dtype = shape->storage == Storage::kBFloat16 ? "bfloat16" : "float32",
                  .float8 = shape->float8,
                  .device = "",
                  .limits = arguments.limits};
  Placement placement = placement_of(cases, *shape, *device);
  placement.cuda_graphs = arguments.cuda_graphs;
  Result<std::unique_ptr<RankModel>> rank = random_rank_model(*shape, placement);
  if (!rank) return refuse(kBenchStep, rank.error());
  setup.device = (*rank)->description();
  std::cout << describe(setup) << std::flush;

  SingleCommunicator alone;
  const Result<Model*> model = (*rank)->start(alone, StepDeadlines{});
  if (!model) return refuse(kBenchStep, model.error());
  std::vector<StepResult> results;
  for (const StepCase& step : cases)
    results.push_back(measure_step(**model, step, arguments.repeat, arguments.limits));
  setup.provenance.load_after = load_average();
  std::cout << to_table(results) << std::flush;
  const Status written = write_json(arguments.json, to_json(results, setup));
  return written ? kDone : refuse(kBenchStep, written.error());
}

}  // namespace

void add_bench_step_command(CLI::App& bench, ProgramArguments program, Action& action) {
  CLI::App* command =
      bench.add_subcommand("step", "Milliseconds of a step on random weights, and their floor");
  const auto arguments = std::make_shared<StepArguments>();
  const auto list = [&](const char* name, std::vector<int>& place, const char* what) {
    command->add_option(name, place, what)->delimiter(',')->capture_default_str();
  };
  command
      ->add_option(
          "--shape", arguments->shape, "llada-8b, small, or D_MODEL,LAYERS,HEADS,MLP,VOCABULARY")
      ->capture_default_str();
  command->add_option("--device", arguments->device, "What to compute on")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  command->add_option("--dtype", arguments->dtype, "Of weights and caches")
      ->check(CLI::IsMember({"auto", "float32", "bfloat16"}))
      ->capture_default_str();
  command->add_option("--quantization", arguments->quantization, "Of the layers' weights")
      ->check(CLI::IsMember({"none", "fp8"}))
      ->capture_default_str();
  command->add_flag("!--no-cuda-graphs", arguments->cuda_graphs, "A GPU gets kernels one by one");
  command->add_flag("--batch-invariant",
                    arguments->batch_invariant,
                    "On a GPU, take products whose bits do not depend on the number of rows");
  list("--rows", arguments->rows, "Rows of a sequence's reuse pass; 0: none is measured");
  list("--canvas", arguments->canvases, "Positions of a sequence");
  list("--boundary", arguments->boundaries, "First layers of a refresh; -1: none is measured");
  list("--sequences", arguments->sequences, "Sequences in a step");
  command->add_option("--repeat", arguments->repeat, "Times to measure")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command->add_option("--threads", arguments->threads, "CPU threads; 0: torch's choice")
      ->check(CLI::Range(0, 1024));
  command->add_option("--bandwidth",
                      arguments->limits.gigabytes_per_second,
                      "GB/s that memory gives, for the floor");
  command->add_option(
      "--teraflops", arguments->limits.teraflops, "TFLOP/s that matrix products reach, likewise");
  command->add_option("--json", arguments->json, "File to write the numbers to")->type_name("FILE");
  command->callback([arguments, program, &action] {
    action = [arguments, program] { return run(*arguments, program); };
  });
}

}  // namespace rubato
