#include "http/metrics/engine_metrics.h"

#include <cmath>
#include <string>

namespace rubato {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

using Labels = std::vector<ClientMetric::Label>;

constexpr double kNanosecondsPerSecond = 1e9;

ClientMetric labelled(std::size_t replica, const Labels& more = {}) {
  ClientMetric metric;
  metric.label.push_back({"replica", std::to_string(replica)});
  metric.label.insert(metric.label.end(), more.begin(), more.end());
  return metric;
}

/// Families with one value per replica, or several with further labels.
class Families {
 public:
  explicit Families(std::span<const EngineStatus> replicas) : replicas_(replicas) {}

  template <class Value>
  void gauge(const char* name, const char* help, const Value& value) {
    MetricFamily& family = add(name, help, MetricType::Gauge);
    for (std::size_t i = 0; i < replicas_.size(); ++i)
      family.metric[i].gauge.value = static_cast<double>(value(replicas_[i]));
  }

  void counter(const char* name, const char* help, std::uint64_t EngineCounters::*place) {
    MetricFamily& family = add(name, help, MetricType::Counter);
    for (std::size_t i = 0; i < replicas_.size(); ++i)
      family.metric[i].counter.value = static_cast<double>(replicas_[i].counters.*place);
  }

  /// Where the time of steps went.
  void step_times() {
    MetricFamily steps{
        "rubato_steps_total", "Steps, by what they computed", MetricType::Counter, {}};
    MetricFamily time{"rubato_step_time_seconds_total",
                      "Time of steps, by what they computed and by phase",
                      MetricType::Counter,
                      {}};
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
      for (std::size_t k = 0; k < kNumStepKinds; ++k) {
        const PhaseTimes& times = replicas_[i].times.kinds[k];
        const ClientMetric::Label kind{"kind", to_string(StepKind(k))};
        steps.metric.push_back(labelled(i, {kind}));
        steps.metric.back().counter.value = static_cast<double>(times.steps);
        for (std::size_t p = 0; p < kNumPhases; ++p) {
          time.metric.push_back(labelled(i, {kind, {"phase", to_string(Phase(p))}}));
          time.metric.back().counter.value =
              static_cast<double>(times.nanoseconds[p]) / kNanosecondsPerSecond;
        }
      }
    }
    families_.push_back(std::move(steps));
    families_.push_back(std::move(time));
  }

  void collective_time() {
    MetricFamily& family =
        add("rubato_collective_time_seconds_total",
            "Time in collectives between ranks, waiting included, but for those of GPUs (NCCL)",
            MetricType::Counter);
    for (std::size_t i = 0; i < replicas_.size(); ++i)
      family.metric[i].counter.value = replicas_[i].collective_s;
  }

  template <const auto& kBounds>
  void histogram(const char* name,
                 const char* help,
                 HistogramCounts<kBounds> EngineCounters::*place) {
    MetricFamily& family = add(name, help, MetricType::Histogram);
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
      const HistogramCounts<kBounds>& counts = replicas_[i].counters.*place;
      ClientMetric::Histogram& to = family.metric[i].histogram;
      std::uint64_t total = 0;
      for (std::size_t b = 0; b < counts.counts.size(); ++b) {
        total += counts.counts[b];
        const double bound = b < kBounds.size() ? kBounds[b] : INFINITY;
        to.bucket.push_back({total, bound});
      }
      to.sample_count = total;
      to.sample_sum = counts.sum;
    }
  }

  std::vector<MetricFamily> take() { return std::move(families_); }

 private:
  MetricFamily& add(const char* name, const char* help, MetricType type) {
    MetricFamily& family = families_.emplace_back();
    family.name = name;
    family.help = help;
    family.type = type;
    for (std::size_t i = 0; i < replicas_.size(); ++i) family.metric.push_back(labelled(i));
    return family;
  }

  std::span<const EngineStatus> replicas_;
  std::vector<MetricFamily> families_;
};

}  // namespace

std::vector<MetricFamily> engine_metrics(std::span<const EngineStatus> replicas) {
  Families families(replicas);
  const auto of = [](auto EngineStatus::*place) {
    return [place](const EngineStatus& status) { return status.*place; };
  };
  families.gauge("rubato_ready", "1 while new generations are taken", of(&EngineStatus::ready));
  families.gauge(
      "rubato_num_requests_running", "Generations with a place", of(&EngineStatus::running));
  families.gauge(
      "rubato_num_requests_waiting", "Generations queued for one", of(&EngineStatus::waiting));
  families.gauge("rubato_cache_tokens_used",
                 "Cache rows that running generations hold",
                 of(&EngineStatus::cache_tokens_used));
  families.gauge("rubato_cache_tokens_free", "Cache rows that are free", [](const auto& status) {
    return status.cache_tokens_total - status.cache_tokens_used;
  });
  families.gauge("rubato_heartbeat_age_seconds",
                 "Since all ranks of the replica have answered",
                 of(&EngineStatus::heartbeat_age_s));
  families.step_times();
  families.collective_time();
  families.counter("rubato_prompt_tokens_total",
                   "Prompt tokens of admitted generations, suffixes included",
                   &EngineCounters::prompt_tokens);
  families.counter("rubato_generation_tokens_total",
                   "Tokens committed, those behind an answer's end included",
                   &EngineCounters::generation_tokens);
  families.counter("rubato_forward_passes_total",
                   "Steps, each counted once for every generation in it",
                   &EngineCounters::forward_passes);
  families.counter("rubato_rows_computed_total",
                   "Token rows pushed through a layer, summed over layers",
                   &EngineCounters::rows_computed);
  families.counter("rubato_refreshes_total",
                   "Forward passes that refreshed at least one layer",
                   &EngineCounters::refreshes);
  families.counter("rubato_layers_refreshed_total",
                   "Layers recomputed for a whole canvas",
                   &EngineCounters::layers_refreshed);
  families.histogram("rubato_refresh_boundary",
                     "First layer refreshed, of forward passes that refreshed",
                     &EngineCounters::boundaries);
  families.histogram("rubato_drift_similarity",
                     "Similarity found by a layer's drift test",
                     &EngineCounters::similarities);
  families.histogram("rubato_tokens_per_forward_pass",
                     "Tokens that a generation's forward pass committed",
                     &EngineCounters::commits);
  families.histogram("rubato_request_queue_time_seconds",
                     "From submission to admission",
                     &EngineCounters::queue_seconds);
  return families.take();
}

}  // namespace rubato
