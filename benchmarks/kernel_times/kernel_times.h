#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rubato {

/// One thing that the GPU did: a kernel, a copy, a fill.
struct GpuActivity {
  std::string name;
  std::uint64_t begin_ns = 0, end_ns = 0;
  std::uint32_t stream = 0;
};

/// All activities of one name.
struct KernelTimes {
  std::string name;
  std::int64_t count = 0;
  double total_us = 0, median_us = 0;
  /// From the end of all that stood before it on its stream to its begin, where anything did.
  double total_gap_us = 0, median_gap_us = 0;
};

/// By name, what took longest first. The activities may come in any order.
std::vector<KernelTimes> times_by_name(std::vector<GpuActivity> activities);

/// A kernel's name as one would write it, without result and parameters: demangled, if it was.
std::string readable_name(const std::string& name);

/// A line a name, in columns; shares are of the time in which the GPU did something.
std::string to_table(const std::vector<KernelTimes>& kernels);
std::string to_json(const std::vector<KernelTimes>& kernels);

}  // namespace rubato
