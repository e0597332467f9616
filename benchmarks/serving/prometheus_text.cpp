#include "benchmarks/serving/prometheus_text.h"

#include <charconv>

namespace rubato {

std::optional<double> metric_sum(std::string_view text, std::string_view name) {
  std::optional<double> sum;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.starts_with(name)) continue;
    line.remove_prefix(name.size());
    if (line.empty() || (line.front() != '{' && line.front() != ' ')) continue;
    line.remove_prefix(std::min(line.rfind(' ') + 1, line.size()));
    double value = 0;
    if (std::from_chars(line.data(), line.data() + line.size(), value).ec == std::errc())
      sum = sum.value_or(0) + value;
  }
  return sum;
}

}  // namespace rubato
