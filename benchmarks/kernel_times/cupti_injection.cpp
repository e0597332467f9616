// A library that NVIDIA's driver loads into a program when CUDA_INJECTION64_PATH names it. When the
// program ends, it prints what the GPU did by kernel, and writes it to the file that
// RUBATO_KERNEL_TIMES names. Nothing has run on a GPU.
#include <cupti.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>

#include "benchmarks/kernel_times/kernel_times.h"

namespace rubato {
namespace {

constexpr std::size_t kBufferBytes = 8 << 20;
constexpr std::size_t kAlignment = 8;  // that records want

/// What has been recorded. CUPTI hands it over on a thread of its own.
struct Record {
  std::mutex mutex;
  std::vector<GpuActivity> activities;
};

Record& record() {
  static Record the_record;
  return the_record;
}

bool succeeds(CUptiResult result, const char* call) {
  if (result == CUPTI_SUCCESS) return true;
  const char* why = "unknown";
  cuptiGetResultString(result, &why);
  std::fprintf(stderr, "kernel_times: %s: %s\n", call, why);
  return false;
}

template <class T>
GpuActivity activity_of(const T& of, std::string name) {
  return {std::move(name), of.start, of.end, of.streamId};
}

const char* copy_name(std::uint8_t kind) {
  switch (kind) {
    case CUPTI_ACTIVITY_MEMCPY_KIND_HTOD:
      return "[copy to the GPU]";
    case CUPTI_ACTIVITY_MEMCPY_KIND_DTOH:
      return "[copy from the GPU]";
    default:
      return "[copy within the GPU]";
  }
}

void keep(const CUpti_Activity& any) {
  std::vector<GpuActivity>& activities = record().activities;
  if (any.kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) {
    const auto& kernel = reinterpret_cast<const CUpti_ActivityKernel10&>(any);
    activities.push_back(activity_of(kernel, readable_name(kernel.name)));
  } else if (any.kind == CUPTI_ACTIVITY_KIND_MEMCPY) {
    const auto& copy = reinterpret_cast<const CUpti_ActivityMemcpy6&>(any);
    activities.push_back(activity_of(copy, copy_name(copy.copyKind)));
  } else if (any.kind == CUPTI_ACTIVITY_KIND_MEMSET) {
    activities.push_back(
        activity_of(reinterpret_cast<const CUpti_ActivityMemset4&>(any), "[fill]"));
  }
}

void CUPTIAPI give_buffer(std::uint8_t** buffer, std::size_t* size, std::size_t* most_records) {
  *buffer = static_cast<std::uint8_t*>(std::aligned_alloc(kAlignment, kBufferBytes));
  *size = *buffer == nullptr ? 0 : kBufferBytes;
  *most_records = 0;  // as many as it holds
}

void CUPTIAPI take_buffer(
    CUcontext context, std::uint32_t stream, std::uint8_t* buffer, std::size_t, std::size_t used) {
  {
    const std::lock_guard lock(record().mutex);
    for (CUpti_Activity* next = nullptr;
         cuptiActivityGetNextRecord(buffer, used, &next) == CUPTI_SUCCESS;) {
      keep(*next);
    }
  }
  std::free(buffer);
  std::size_t dropped = 0;
  cuptiActivityGetNumDroppedRecords(context, stream, &dropped);
  if (dropped > 0) std::fprintf(stderr, "kernel_times: %zu records were dropped\n", dropped);
}

void report() {
  succeeds(cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED), "cuptiActivityFlushAll");
  const std::lock_guard lock(record().mutex);
  const std::vector<KernelTimes> kernels = times_by_name(record().activities);
  std::fputs(to_table(kernels).c_str(), stdout);
  std::fflush(stdout);
  if (const char* file = std::getenv("RUBATO_KERNEL_TIMES")) {
    if (!(std::ofstream(file) << to_json(kernels)).flush())
      std::fprintf(stderr, "kernel_times: cannot write %s\n", file);
  }
}

bool begin() {
  record();  // made before the handler is known, so that it outlives it
  if (!succeeds(cuptiActivityRegisterCallbacks(give_buffer, take_buffer),
                "cuptiActivityRegisterCallbacks"))
    return false;
  for (const CUpti_ActivityKind kind : {CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL,
                                        CUPTI_ACTIVITY_KIND_MEMCPY,
                                        CUPTI_ACTIVITY_KIND_MEMSET}) {
    if (!succeeds(cuptiActivityEnable(kind), "cuptiActivityEnable")) return false;
  }
  return std::atexit(report) == 0;
}

}  // namespace
}  // namespace rubato

/// Called by the driver when the program first uses it. Returns 1 where it succeeds.
extern "C" int InitializeInjection() {
  return rubato::begin() ? 1 : 0;
}
