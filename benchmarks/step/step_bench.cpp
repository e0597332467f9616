#include "benchmarks/step/step_bench.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <sstream>

#include "runtime/base/concat.h"

namespace rubato {
namespace {

constexpr int kWindow = 16;   // eligible rows of a sequence, at most
constexpr int kTracked = 16;  // likewise, where there are rows left
constexpr int kWarmUps = 2;
constexpr TokenId kMaskId = 1;

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

  static StepQuery query_of(const StepCase& step) {
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

void count_work(const ModelShape& shape, StepResult& result) {
  const StepCase& step = result.step;
  const double size = shape.storage == Storage::kFloat32 ? 4 : 2;
  const double weight_size = shape.float8 ? 1 : size;  // of the layers; not the head's
  const double layers = step.rows == 0 ? shape.num_layers - step.boundary : shape.num_layers;
  const double width = shape.local_head_width(), d = shape.d_model;
  const double per_layer = 4 * d * width + 3 * d * shape.local_mlp_width();
  const double head = d * shape.local_vocabulary();
  const double rows = double{1} * step.sequences * (step.rows == 0 ? step.canvas : step.rows);
  const double window =
      double{1} * step.sequences * std::min(kWindow, step.rows == 0 ? step.canvas : step.rows);
  const double keys_and_values = 2.0 * step.sequences * step.canvas * width * layers;
  result.gigabytes = (per_layer * layers * weight_size + (head + keys_and_values) * size) / 1e9;
  result.teraflop = (2 * rows * per_layer * layers + 2 * window * head +
                     4 * rows * step.canvas * width * layers) /
                    1e12;
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

StepResult measure_step(Model& model,
                        const StepCase& step,
                        int repeat,
                        const HardwareLimits& limits) {
  StepCase full = step;
  full.rows = full.boundary = 0;
  run_ms(model, Workload(full, model.shape()));  // fills the caches
  const Workload work(step, model.shape());
  std::vector<double> times;
  for (int i = 0; i < kWarmUps + repeat; ++i) {
    const double ms = run_ms(model, work);
    if (i >= kWarmUps) times.push_back(ms);
  }
  std::ranges::sort(times);
  StepResult result{.step = step, .median_ms = times[times.size() / 2], .least_ms = times[0]};
  count_work(model.shape(), result);
  if (limits.gigabytes_per_second > 0 && limits.teraflops > 0) {
    result.floor_ms = 1e3 * std::max(result.gigabytes / limits.gigabytes_per_second,
                                     result.teraflop / limits.teraflops);
  }
  return result;
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
                  r.gigabytes,
                  r.teraflop);
    text += line;
  }
  return text;
}

std::string to_json(const std::vector<StepResult>& results, const std::string& setup) {
  std::string text = concat("{\"setup\": \"", setup, "\", \"steps\": [");
  for (const StepResult& r : results) {
    text += concat(&r == results.data() ? "" : ",",
                   "\n  {\"rows\": ",
                   r.step.rows,
                   ", \"canvas\": ",
                   r.step.canvas,
                   ", \"boundary\": ",
                   r.step.boundary,
                   ", \"sequences\": ",
                   r.step.sequences,
                   ", \"median_ms\": ",
                   number(r.median_ms, 4),
                   ", \"least_ms\": ",
                   number(r.least_ms, 4),
                   ", \"floor_ms\": ",
                   number(r.floor_ms, 4),
                   "}");
  }
  return text + "\n]}\n";
}

}  // namespace rubato
