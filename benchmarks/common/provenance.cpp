#include "benchmarks/common/provenance.h"

#include <sched.h>

#include <boost/json.hpp>
#include <chrono>
#include <ctime>
#include <fstream>
#include <iomanip>
#include <sstream>

namespace rubato {
namespace {

/// What follows `key`, blanks and a colon on the first line of `file` that begins with it.
std::string value_in(const char* file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t begin = line.find_first_not_of(" \t:", key.size());
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return {};
}

std::int64_t kibibytes_in(const char* file, const std::string& key) {
  std::istringstream text(value_in(file, key));
  std::int64_t kibibytes = 0;
  text >> kibibytes;
  return kibibytes;
}

int usable_cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 0;
}

}  // namespace

Machine this_machine() {
  return {value_in("/proc/cpuinfo", "model name"),
          usable_cores(),
          kibibytes_in("/proc/meminfo", "MemTotal") * 1024};
}

std::int64_t resident_bytes() {
  return kibibytes_in("/proc/self/status", "VmRSS") * 1024;
}

double load_average() {
  std::ifstream in("/proc/loadavg");
  double load = -1;
  in >> load;
  return load;
}

std::string utc_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::ostringstream out;
  out << std::put_time(&utc, "%Y-%m-%dT%H:%M:%SZ");
  return std::move(out).str();
}

std::string describe(const Provenance& p) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(1);
  out << "rubato " << p.version << ", commit " << p.commit << ", " << p.started << '\n'
      << p.machine.cpu << ", " << p.machine.cores << " cores, " << p.kernels << "; " << p.ranks
      << " rank(s) of " << p.threads << " thread(s); load " << p.load_before << " before, "
      << p.load_after << " after\n"
      << p.command << '\n';
  return std::move(out).str();
}

boost::json::object to_object(const Provenance& p) {
  boost::json::object object{{"version", p.version},
                             {"commit", p.commit},
                             {"command", p.command},
                             {"started", p.started},
                             {"machine",
                              {{"cpu", p.machine.cpu},
                               {"cores", p.machine.cores},
                               {"memory_bytes", p.machine.memory_bytes},
                               {"load_before", p.load_before},
                               {"load_after", p.load_after}}}};
  if (p.ranks == 0) return object;
  object["ranks"] = p.ranks;
  object["threads"] = p.threads;
  object["kernels"] = p.kernels;
  return object;
}

}  // namespace rubato
