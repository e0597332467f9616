#pragma once

#include <prometheus/metric_family.h>

#include <span>
#include <vector>

#include "runtime/engine/generation.h"

namespace rubato {

/// The metrics of all replicas' engines, as Prometheus families with a label `replica`. Made on
/// request from snapshots, so that engines do not depend on Prometheus.
std::vector<prometheus::MetricFamily> engine_metrics(std::span<const EngineStatus> replicas);

}  // namespace rubato
