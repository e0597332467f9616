#include "benchmarks/kernel_times/kernel_times.h"

#include <cxxabi.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>

#include "benchmarks/common/statistics.h"

namespace rubato {
namespace {

namespace json = boost::json;

struct Samples {
  std::vector<double> durations_us, gaps_us;
};

double microseconds(std::uint64_t begin_ns, std::uint64_t end_ns) {
  return static_cast<double>(end_ns - begin_ns) / 1e3;
}

double sum(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

std::map<std::string, Samples> samples_by_name(const std::vector<GpuActivity>& in_order) {
  std::map<std::string, Samples> samples;
  std::map<std::uint32_t, std::uint64_t> free_from_ns;  // by stream: the end of all so far
  for (const GpuActivity& activity : in_order) {
    Samples& of_name = samples[activity.name];
    of_name.durations_us.push_back(microseconds(activity.begin_ns, activity.end_ns));
    const auto [before, first] = free_from_ns.try_emplace(activity.stream, activity.end_ns);
    if (first) continue;
    of_name.gaps_us.push_back(
        microseconds(std::min(before->second, activity.begin_ns), activity.begin_ns));
    before->second = std::max(before->second, activity.end_ns);
  }
  return samples;
}

/// Where the parameters of a function begin: at the parenthesis that the last one closes.
std::size_t begin_of_parameters(const std::string& name) {
  int open = 0;
  for (std::size_t i = name.size(); i-- > 0;) {
    open += name[i] == ')' ? 1 : name[i] == '(' ? -1 : 0;
    if (open == 0) return i;
  }
  return name.size();
}

}  // namespace

std::vector<KernelTimes> times_by_name(std::vector<GpuActivity> activities) {
  std::ranges::stable_sort(activities, {}, &GpuActivity::begin_ns);
  std::vector<KernelTimes> kernels;
  for (const auto& [name, samples] : samples_by_name(activities)) {
    kernels.push_back({.name = name,
                       .count = std::ssize(samples.durations_us),
                       .total_us = sum(samples.durations_us),
                       .median_us = median(samples.durations_us),
                       .total_gap_us = sum(samples.gaps_us),
                       .median_gap_us = median(samples.gaps_us)});
  }
  std::ranges::stable_sort(kernels, std::ranges::greater(), &KernelTimes::total_us);
  return kernels;
}

std::string readable_name(const std::string& name) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> demangled(
      abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), &std::free);
  if (status != 0) return name;
  std::string readable = demangled.get();
  if (readable.ends_with(')')) readable.resize(begin_of_parameters(readable));
  constexpr std::string_view kResult = "void ";  // that of every kernel; said of templates only
  return readable.starts_with(kResult) ? readable.substr(kResult.size()) : readable;
}

std::string to_table(const std::vector<KernelTimes>& kernels) {
  double busy_us = 0, gaps_us = 0;
  for (const KernelTimes& k : kernels) {
    busy_us += k.total_us;
    gaps_us += k.total_gap_us;
  }
  char line[160];
  std::snprintf(line,
                sizeof line,
                "busy %.3f ms, between one end and the next begin on a stream %.3f ms\n",
                busy_us / 1e3,
                gaps_us / 1e3);
  std::string text = line;
  text += "  count    total ms   share   median us  gap before us  name\n";
  for (const KernelTimes& k : kernels) {
    std::snprintf(line,
                  sizeof line,
                  "%7lld %11.3f %6.1f%% %11.2f %14.2f  ",
                  static_cast<long long>(k.count),
                  k.total_us / 1e3,
                  busy_us > 0 ? 100 * k.total_us / busy_us : 0,
                  k.median_us,
                  k.median_gap_us);
    text += line + k.name + '\n';
  }
  return text;
}

std::string to_json(const std::vector<KernelTimes>& kernels) {
  json::array all;
  for (const KernelTimes& k : kernels) {
    all.push_back({{"name", k.name},
                   {"count", k.count},
                   {"total_us", k.total_us},
                   {"median_us", k.median_us},
                   {"total_gap_us", k.total_gap_us},
                   {"median_gap_us", k.median_gap_us}});
  }
  return json::serialize(json::object{{"kernels", std::move(all)}}) + '\n';
}

}  // namespace rubato
