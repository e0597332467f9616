#include "tests/support/cuda_emulation/device.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/base/check.h"

struct CUgraph_st {
  std::vector<std::function<void()>> work;
};

struct CUstream_st {
  std::deque<std::function<void()>> work;
  std::unique_ptr<CUgraph_st> captured;  // null: nothing is recorded
  bool capture_failed = false;
};

namespace rubato::emulation {
namespace {

/// All memory there is, by its first address.
struct Allocations {
  struct Range {
    std::size_t bytes;
    bool pinned;
  };
  std::mutex mutex;
  std::map<const std::byte*, Range> ranges;

  /// The allocation that holds all of [data, data + bytes), or null.
  const Range* find(const void* data, std::size_t bytes) {
    const std::scoped_lock lock(mutex);
    const auto* begin = static_cast<const std::byte*>(data);
    auto after = ranges.upper_bound(begin);
    if (after == ranges.begin()) return nullptr;
    const auto& [first, range] = *--after;
    return begin + bytes <= first + range.bytes ? &range : nullptr;
  }
  bool pinned(const void* data, std::size_t bytes) {
    const Range* range = find(data, bytes);
    return range != nullptr && range->pinned;
  }
};

Allocations& allocations() {
  static Allocations all;
  return all;
}

/// This thread's streams; the first is its null stream.
std::vector<std::unique_ptr<CUstream_st>>& streams() {
  thread_local std::vector<std::unique_ptr<CUstream_st>> mine = [] {
    std::vector<std::unique_ptr<CUstream_st>> first;
    first.push_back(std::make_unique<CUstream_st>());
    return first;
  }();
  return mine;
}

CUstream_st& stream_of(CUstream_st* stream) {
  return stream == nullptr ? *streams().front() : *stream;
}

void check_not_captured(const CUstream_st& stream, const char* what) {
  RUBATO_CHECK(stream.captured == nullptr, what, " while a stream is captured");
}

void run_all(CUstream_st& stream) {
  check_not_captured(stream, "a wait");
  while (!stream.work.empty()) {
    const auto next = std::move(stream.work.front());
    stream.work.pop_front();
    next();
  }
}

}  // namespace

void check_device(const void* data, std::size_t bytes) {
  const Allocations::Range* range = allocations().find(data, bytes);
  RUBATO_CHECK(range != nullptr && !range->pinned, bytes, " bytes are not the device's");
}

namespace {

thread_local std::vector<int> devices = {0};

}  // namespace

void see_devices(std::vector<int> seen) {
  devices = std::move(seen);
  current_device() = 0;
}

const std::vector<int>& seen_devices() {
  return devices;
}

int& current_device() {
  thread_local int mine = 0;
  return mine;
}

Counts& counts() {
  thread_local Counts mine;
  return mine;
}

DeviceBytes& device_bytes() {
  thread_local DeviceBytes mine;
  return mine;
}

namespace {

thread_local std::size_t most_bytes_at_once = 0;
thread_local bool captures_fail = false;
thread_local int failing_call = -1;

}  // namespace

void limit_allocations(std::size_t most_bytes) {
  most_bytes_at_once = most_bytes;
}

void refuse_captures(bool refuse) {
  captures_fail = refuse;
}

void fail_captured_call(int calls_before) {
  failing_call = calls_before;
}

int& last_error() {
  thread_local int mine = 0;
  return mine;
}

namespace {

// An allocation ends, but for alignment, where a page begins that nobody may touch.
constexpr std::size_t kAlignment = 16;  // of the widest that a thread reads at once

std::size_t whole(std::size_t bytes, std::size_t size) {
  return (bytes + size - 1) / size * size;
}
std::size_t page_bytes() {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}
std::size_t usable_bytes(std::size_t bytes) {
  return whole(std::max<std::size_t>(bytes, 1), page_bytes());
}

std::byte* map_guarded(std::size_t bytes) {
  const std::size_t usable = usable_bytes(bytes);
  void* pages = mmap(nullptr,
                     usable + page_bytes(),
                     PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                     -1,
                     0);
  if (pages == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(pages);
  RUBATO_CHECK(mprotect(begin + usable, page_bytes(), PROT_NONE) == 0, "no guard page");
  return begin + usable - whole(bytes, kAlignment);
}

void unmap_guarded(std::byte* memory, std::size_t bytes) {
  const std::size_t usable = usable_bytes(bytes);
  munmap(memory + whole(bytes, kAlignment) - usable, usable + page_bytes());
}

}  // namespace

void* allocate(std::size_t bytes, bool pinned) {
  if (most_bytes_at_once > 0 && bytes > most_bytes_at_once) return nullptr;
  std::byte* memory = map_guarded(bytes);
  if (memory == nullptr) return nullptr;
  for (const auto& stream : streams()) check_not_captured(*stream, "an allocation");
  std::memset(memory, 0x7f, whole(bytes, kAlignment));
  ++counts().allocations;
  if (!pinned) {
    DeviceBytes& mine = device_bytes();
    mine.now += static_cast<std::int64_t>(bytes);
    mine.peak = std::max(mine.peak, mine.now);
  }
  const std::scoped_lock lock(allocations().mutex);
  allocations().ranges[memory] = {bytes, pinned};
  return memory;
}

void free(void* memory) {
  if (memory == nullptr) return;
  for (const auto& stream : streams()) run_all(*stream);
  auto* begin = static_cast<std::byte*>(memory);
  const std::scoped_lock lock(allocations().mutex);
  const auto found = allocations().ranges.find(begin);
  RUBATO_CHECK(found != allocations().ranges.end(), "freed is what was not allocated");
  const auto [bytes, pinned] = found->second;
  if (!pinned) device_bytes().now -= static_cast<std::int64_t>(bytes);
  allocations().ranges.erase(found);
  unmap_guarded(begin, bytes);
}

namespace {

/// Of what a capture does not take: cudaErrorStreamCaptureUnsupported, then ..Invalidated.
bool capture(CUstream_st& its, std::function<void()> work) {
  if (its.capture_failed) {
    last_error() = 901;
  } else if (std::ssize(its.captured->work) == failing_call) {
    its.capture_failed = true;
    last_error() = 900;
  } else {
    its.captured->work.push_back(std::move(work));
  }
  return !its.capture_failed;
}

}  // namespace

bool enqueue(CUstream_st* stream, std::function<void()> work) {
  CUstream_st& its = stream_of(stream);
  if (its.captured != nullptr) return capture(its, std::move(work));
  its.work.push_back(std::move(work));
  return true;
}

bool copy_to_device(void* to, const void* from, std::size_t bytes, CUstream_st* stream) {
  check_device(to, bytes);
  ++counts().copies_to_device;
  if (allocations().pinned(from, bytes))
    return enqueue(stream, [=] { std::memcpy(to, from, bytes); });
  check_not_captured(stream_of(stream), "a copy of memory that is not pinned");
  const auto* begin = static_cast<const std::byte*>(from);
  return enqueue(stream, [to, kept = std::vector<std::byte>(begin, begin + bytes)] {
    std::memcpy(to, kept.data(), kept.size());
  });
}

bool copy_to_host(void* to, const void* from, std::size_t bytes, CUstream_st* stream) {
  check_device(from, bytes);
  ++counts().copies_to_host;
  counts().bytes_to_host += static_cast<std::int64_t>(bytes);
  const bool told = enqueue(stream, [=] { std::memcpy(to, from, bytes); });
  if (!allocations().pinned(to, bytes)) wait(stream);
  return told;
}

bool copy_on_device(void* to, const void* from, std::size_t bytes, CUstream_st* stream) {
  check_device(to, bytes);
  check_device(from, bytes);
  return enqueue(stream, [=] { std::memmove(to, from, bytes); });
}

bool fill(void* to, int value, std::size_t bytes, CUstream_st* stream) {
  check_device(to, bytes);
  return enqueue(stream, [=] { std::memset(to, value, bytes); });
}

CUstream_st* make_stream() {
  return streams().emplace_back(std::make_unique<CUstream_st>()).get();
}

void destroy_stream(CUstream_st* stream) {
  std::erase_if(streams(), [stream](const auto& mine) { return mine.get() == stream; });
}

void begin_capture(CUstream_st* stream) {
  RUBATO_CHECK(stream != nullptr, "the null stream cannot be captured");
  check_not_captured(*stream, "a capture");
  stream->captured = std::make_unique<CUgraph_st>();
}

CUgraph_st* end_capture(CUstream_st* stream) {
  RUBATO_CHECK(stream->captured != nullptr, "nothing is captured");
  std::unique_ptr<CUgraph_st> captured = std::move(stream->captured);
  const bool failed = std::exchange(stream->capture_failed, false) || captures_fail;
  return failed ? nullptr : captured.release();
}

CUgraph_st* copy_graph(const CUgraph_st* graph) {
  return std::make_unique<CUgraph_st>(*graph).release();
}

void destroy_graph(CUgraph_st* graph) {
  const std::unique_ptr<CUgraph_st> owned(graph);
}

void launch_graph(const CUgraph_st* graph, CUstream_st* stream) {
  for (const auto& work : graph->work) enqueue(stream, work);
}

void wait(CUstream_st* stream) {
  ++counts().waits;
  run_all(stream_of(stream));
}

bool advance(CUstream_st* stream) {
  auto& work = stream_of(stream).work;
  if (work.empty()) {
    ++counts().waits;
    return false;
  }
  const auto next = std::move(work.front());
  work.pop_front();
  next();
  return true;
}

}  // namespace rubato::emulation
