#include "benchmarks/long/measure.h"

#include <algorithm>
#include <random>

#include "benchmarks/common/provenance.h"
#include "benchmarks/common/statistics.h"
#include "http/openai/diffusion_fields.h"

namespace rubato {
namespace {

/// Ids that are neither EOS nor MASK, the same for the same length.
std::vector<TokenId> random_prompt(const ModelConfig& model, int length) {
  std::mt19937 bits(1);
  std::vector<TokenId> ids;
  while (std::ssize(ids) < length) {
    const auto id = static_cast<TokenId>(bits() % static_cast<unsigned>(model.vocab_size));
    if (id != model.eos_token_id && id != model.mask_token_id) ids.push_back(id);
  }
  return ids;
}

Result<GenerationRequest> make_request(const Contender& contender,
                                       const LongOptions& options,
                                       const ModelConfig& model,
                                       int canvas) {
  if (canvas <= options.prompt) {
    return Error{Code::kInvalidArgument,
                 concat("a canvas of ", canvas, " has no room behind a prompt of ", options.prompt),
                 "--canvases"};
  }
  auto request = catching_field_errors([&] {
    GenerationRequest made;
    made.prompt = random_prompt(model, options.prompt);
    made.max_tokens = canvas - options.prompt;
    read_diffusion(Fields({{"diffusion", contender.diffusion}}), made);
    made.ignore_eos = true;
    made.trace = true;
    return made;
  });
  if (request) return request;
  return Error{request.error().code,
               concat(contender.name, ", canvas ", canvas, ": ", request.error().message),
               request.error().param};
}

/// One canvas's requests, one for each contender.
Result<std::vector<LongMeasurement>> prepare(const std::vector<Contender>& contenders,
                                             const LongOptions& options,
                                             const ModelConfig& model,
                                             int canvas) {
  std::vector<LongMeasurement> prepared;
  for (const Contender& contender : contenders) {
    auto request = make_request(contender, options, model, canvas);
    if (!request) return request.error();
    prepared.push_back({canvas, contender.name, *std::move(request), {}, 0});
  }
  return prepared;
}

}  // namespace

double LongMeasurement::seconds() const {
  double sum = 0;
  for (const StepSample& step : steps) sum += step.milliseconds * 1e-3;
  return sum;
}

std::int64_t LongMeasurement::tokens() const {
  std::int64_t sum = 0;
  for (const StepSample& step : steps) sum += step.tokens;
  return sum;
}

double LongMeasurement::tokens_per_second() const {
  return seconds() > 0 ? static_cast<double>(tokens()) / seconds() : 0;
}

double LongMeasurement::ms_per_step() const {
  return steps.empty() ? 0 : 1e3 * seconds() / static_cast<double>(steps.size());
}

double LongMeasurement::rows_per_step() const {
  double sum = 0;
  for (const StepSample& step : steps) sum += static_cast<double>(step.rows);
  return steps.empty() ? 0 : sum / static_cast<double>(steps.size());
}

double LongMeasurement::collective_share() const {
  double sum = 0;
  for (const StepSample& step : steps) sum += step.collective_ms * 1e-3;
  return seconds() > 0 ? sum / seconds() : 0;
}

std::map<std::optional<int>, StepSort> LongMeasurement::sorts() const {
  std::map<std::optional<int>, std::vector<double>> milliseconds;
  std::map<std::optional<int>, StepSort> sorts;
  for (const StepSample& step : steps) {
    milliseconds[step.boundary].push_back(step.milliseconds);
    sorts[step.boundary].rows += step.rows;
  }
  for (auto& [boundary, sort] : sorts) {
    const std::vector<double>& all = milliseconds[boundary];
    sort.count = static_cast<int>(all.size());
    sort.rows /= sort.count;
    sort.median_ms = median(all);
    sort.least_ms = std::ranges::min(all);
    sort.most_ms = std::ranges::max(all);
  }
  return sorts;
}

Result<std::vector<LongMeasurement>> measure_long(
    const std::vector<Contender>& contenders,
    const LongOptions& options,
    const ModelConfig& model,
    GenerationClient& client,
    const CollectiveClock& collectives,
    const std::function<void(const LongProgress&)>& progress) {
  std::vector<LongMeasurement> all;
  std::vector<int> canvases = options.canvases;
  std::ranges::sort(canvases);
  LongProgress state;
  state.total = static_cast<int>(canvases.size() * contenders.size()) * options.repeat;
  for (const int canvas : canvases) {
    auto measured = prepare(contenders, options, model, canvas);
    if (!measured) return measured.error();
    const auto warm = probe_steps(client, measured->front().request, {.steps = 2}, collectives);
    if (!warm) return warm.error();
    for (int repetition = 0; repetition < options.repeat; ++repetition) {
      for (LongMeasurement& one : *measured) {
        state.canvas = canvas;
        state.contender = one.contender;
        progress(state);
        const auto steps = probe_steps(client, one.request, options.limits, collectives);
        if (!steps) return steps.error();
        one.steps.insert(one.steps.end(), steps->begin(), steps->end());
        one.resident_bytes = resident_bytes();
        ++state.done;
      }
    }
    all.insert(all.end(), measured->begin(), measured->end());
  }
  progress(state);
  return all;
}

}  // namespace rubato
