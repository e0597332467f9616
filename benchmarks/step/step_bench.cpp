#include "benchmarks/step/step_bench.h"

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <sstream>

#include "benchmarks/common/statistics.h"
#include "cache/drift.h"
#include "runtime/base/concat.h"

namespace rubato {
namespace {

namespace json = boost::json;

constexpr int kWindow = 16;   // eligible rows of a sequence, at most
constexpr int kTracked = 16;  // likewise, where there are rows left
constexpr int kWarmUps = 2;
constexpr TokenId kMaskId = 1;

/// What a policy would say to such a step.
StepQuery query_of(const StepCase& step) {
  StepQuery query;
  const int rows = step.rows == 0 ? step.canvas : step.rows;
  const int window = std::min(kWindow, rows);
  for (int i = 0; i < window; ++i) query.eligible.push_back(step.canvas - window + i);
  if (step.rows == 0) return query;  // Refresh::kFull
  for (int i = 0; i < rows - window; ++i)
    query.rows.push_back(
        static_cast<Position>(std::int64_t{i} * (step.canvas - window) / (rows - window)));
  query.rows.insert(query.rows.end(), query.eligible.begin(), query.eligible.end());
  query.num_tracked = std::min(kTracked, rows - window);
  query.refresh = query.num_tracked > 0 ? Refresh::kByDrift : Refresh::kNone;
  return query;
}

/// Sequences as a step sees them, side by side in the cache.
struct Workload {
  std::vector<std::vector<TokenId>> canvases;
  std::vector<StepSequence> sequences;
  std::vector<int> boundaries;

  Workload(const StepCase& step, const ModelShape& shape) {
    for (int i = 0; i < step.sequences; ++i) {
      std::vector<TokenId>& canvas = canvases.emplace_back(step.canvas);
      for (int position = 0; position < step.canvas; ++position)
        canvas[position] = (position * 7919 + i * 104729) % shape.vocabulary;
    }
    for (int i = 0; i < step.sequences; ++i) {
      StepSequence s;
      s.slot_begin = std::int64_t{i} * step.canvas;
      s.canvas = canvases[i];
      s.track = true;
      s.query = query_of(step);
      sequences.push_back(std::move(s));
      boundaries.push_back(step.rows == 0 ? step.boundary : shape.num_layers);
    }
  }
};

double run_ms(Model& model, const Workload& work) {
  const auto begin = std::chrono::steady_clock::now();
  model.reuse_pass(work.sequences);
  model.reduce(work.sequences);
  model.refresh(work.sequences, work.boundaries);
  model.compute_logits(work.sequences);
  model.candidates(work.sequences, kMaskId);
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
      .count();
}

std::string number(double value, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

}  // namespace

Result<ModelShape> shape_named(const std::string& name, Storage storage) {
  ModelShape shape{
      .max_positions = 8192, .rope_theta = 5e5, .rms_norm_eps = 1e-5, .storage = storage};
  const std::string sizes = name == "llada-8b" ? "4096,32,32,12288,126464"
                            : name == "small"  ? "256,6,8,768,4096"
                                               : name;
  std::istringstream in(sizes);
  int* const places[] = {
      &shape.d_model, &shape.num_layers, &shape.num_heads, &shape.mlp_width, &shape.vocabulary};
  for (int* place : places) {
    if (place != places[0]) in.ignore(1, ',');
    if (!(in >> *place) || *place <= 0) shape.d_model = -1;
  }
  const bool whole = in.peek() == std::istringstream::traits_type::eof();
  if (!whole || shape.d_model <= 0 || shape.d_model % (2 * shape.num_heads) != 0) {
    return Error{Code::kInvalidArgument,
                 concat("--shape is \"",
                        name,
                        "\"; allowed: llada-8b, small, or five whole numbers "
                        "D_MODEL,LAYERS,HEADS,MLP,VOCABULARY with an even head size"),
                 "--shape"};
  }
  return shape;
}

StepWork work_of(const ModelShape& shape, const StepCase& step) {
  const bool refresh = step.rows == 0;
  const double rows = refresh ? step.canvas : step.rows;
  const double window = std::min<double>(kWindow, rows);
  const double layers = refresh ? shape.num_layers - step.boundary : shape.num_layers;
  const double size = shape.storage == Storage::kFloat32 ? 4 : 2;
  const double weight_size = shape.float8 ? 1 : size;  // of the layers; not the head's
  const double d = shape.d_model, width = shape.local_head_width();
  // A refresh finds q, k and v of its first layer in the cache, unless that is layer 0.
  const double cached = refresh && step.boundary > 0 ? 3 * d * width : 0;
  const double weights = (4 * d * width + 3 * d * shape.local_mlp_width()) * layers - cached;
  const double head = d * shape.local_vocabulary();
  const double keys_and_values = 2.0 * step.sequences * step.canvas * width * layers;
  // Each weight is a multiplication and an addition a row; so is each key and each value.
  const double flop =
      2 * rows * weights + 2 * window * head + 4 * rows * step.canvas * width * layers;
  return {.gigabytes = (weights * weight_size + (head + keys_and_values) * size) / 1e9,
          .teraflop = flop * step.sequences / 1e12};
}

double floor_ms(const StepWork& work, const HardwareLimits& limits) {
  if (limits.gigabytes_per_second <= 0 || limits.teraflops <= 0) return 0;
  return 1e3 *
         std::max(work.gigabytes / limits.gigabytes_per_second, work.teraflop / limits.teraflops);
}

std::int64_t drift_bytes_of(const ModelShape& shape, const StepCase& step) {
  const std::int64_t tracked = query_of(step).num_tracked;
  return step.sequences * tracked * step.canvas *
         drift_bytes_per_pair(shape.num_layers, shape.local_heads());
}

StepResult measure_step(Model& model,
                        const StepCase& step,
                        int repeat,
                        const HardwareLimits& limits) {
  StepCase full = step;
  full.rows = full.boundary = 0;
  run_ms(model, Workload(full, model.shape()));  // fills the caches
  const Workload workload(step, model.shape());
  std::vector<double> times;
  for (int i = 0; i < kWarmUps + repeat; ++i) {
    const double ms = run_ms(model, workload);
    if (i >= kWarmUps) times.push_back(ms);
  }
  const StepWork work = work_of(model.shape(), step);
  return {.step = step,
          .median_ms = median(times),
          .least_ms = std::ranges::min(times),
          .work = work,
          .floor_ms = floor_ms(work, limits)};
}

std::string describe(const StepSetup& setup) {
  const Provenance& p = setup.provenance;
  return concat("rubato ",
                p.version,
                ", commit ",
                p.commit,
                ", ",
                p.started,
                "\nrandom weights of ",
                setup.shape,
                ", ",
                setup.dtype,
                setup.float8 ? ", layers' weights in fp8" : "",
                "; ",
                setup.device,
                "\n",
                p.command,
                "\n");
}

std::string to_table(const std::vector<StepResult>& results) {
  std::string text =
      "kind     sequences   rows  canvas  from layer   median ms    least ms    floor ms       GB"
      "    TFLOP\n";
  for (const StepResult& r : results) {
    char line[160];
    std::snprintf(line,
                  sizeof line,
                  "%-8s %9d %6d %7d %11d %11.3f %11.3f %11s %8.3f %8.3f\n",
                  r.step.rows == 0 ? "refresh" : "reuse",
                  r.step.sequences,
                  r.step.rows == 0 ? r.step.canvas : r.step.rows,
                  r.step.canvas,
                  r.step.rows == 0 ? r.step.boundary : 0,
                  r.median_ms,
                  r.least_ms,
                  r.floor_ms > 0 ? number(r.floor_ms, 3).c_str() : "-",
                  r.work.gigabytes,
                  r.work.teraflop);
    text += line;
  }
  return text;
}

std::string to_json(const std::vector<StepResult>& results, const StepSetup& setup) {
  json::array steps;
  for (const StepResult& r : results) {
    steps.push_back({{"rows", r.step.rows},
                     {"canvas", r.step.canvas},
                     {"boundary", r.step.boundary},
                     {"sequences", r.step.sequences},
                     {"median_ms", r.median_ms},
                     {"least_ms", r.least_ms},
                     {"gigabytes", r.work.gigabytes},
                     {"teraflop", r.work.teraflop},
                     {"floor_ms", r.floor_ms > 0 ? json::value(r.floor_ms) : json::value()}});
  }
  json::object report = to_object(setup.provenance);
  report["shape"] = setup.shape;
  report["dtype"] = setup.dtype;
  report["float8"] = setup.float8;
  report["device"] = setup.device;
  report["gigabytes_per_second"] = setup.limits.gigabytes_per_second;
  report["teraflops"] = setup.limits.teraflops;
  report["steps"] = std::move(steps);
  return json::serialize(report) + '\n';
}

}  // namespace rubato
