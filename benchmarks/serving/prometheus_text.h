#pragma once

#include <optional>
#include <string_view>

namespace rubato {

/// The sum over labels of a metric in Prometheus's text format; nothing if it is not there.
std::optional<double> metric_sum(std::string_view text, std::string_view name);

}  // namespace rubato
