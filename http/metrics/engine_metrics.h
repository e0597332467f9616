#pragma once

#include <prometheus/metric_family.h>

#include <span>
#include <vector>

#include "runtime/engine/generation.h"

namespace rubato {

/// What the engines of all replicas tell of themselves, as Prometheus families with a label
/// `replica`. Made when asked for, from snapshots: the engines know nothing of it.
std::vector<prometheus::MetricFamily> engine_metrics(std::span<const EngineStatus> replicas);

}  // namespace rubato
