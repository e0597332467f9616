#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

struct CUstream_st;
struct CUgraph_st;

/// Memory and streams of the emulated GPU. A stream runs late: what it is told waits until the host
/// waits for the stream (or frees memory), so that a host which reads, or overwrites, too early is
/// found out. The null stream is each thread's own. A stream is used by one thread.
namespace rubato::emulation {

/// What this thread has asked of the GPU.
struct Counts {
  /// Of the host for a stream, copies that imply one and queries that find it done included.
  std::int64_t waits = 0;
  std::int64_t copies_to_host = 0;  ///< device to host
  std::int64_t bytes_to_host = 0;
  std::int64_t copies_to_device = 0;  ///< host to device
  std::int64_t allocations = 0;       ///< of device or pinned memory
};
Counts& counts();

/// What this thread has of the device's memory, and has had at most since `peak` was last set.
struct DeviceBytes {
  std::int64_t now = 0, peak = 0;
};
DeviceBytes& device_bytes();

/// The GPUs that this thread sees from here on, by a number that stands for each one's UUID: two
/// threads that see the same number see the same GPU. At first one, number 0.
void see_devices(std::vector<int> devices);
const std::vector<int>& seen_devices();
/// Which of them the thread works on: an index.
int& current_device();

/// From here on memory of more bytes than that cannot be had, by this thread; 0: there is no limit.
void limit_allocations(std::size_t most_bytes);

/// Whether this thread's captures fail from here on, when they end.
void refuse_captures(bool refuse);

/// In this thread's captures the call after so many fails from here on, and so do all after it;
/// negative: none does.
void fail_captured_call(int calls_before);

/// Filled with a pattern, so that what is read before it is written shows. Reading or writing past
/// its end is a segmentation fault. Freeing waits.
void* allocate(std::size_t bytes, bool pinned);
void free(void* memory);

/// Ends the process where these are not bytes of the device's.
void check_device(const void* data, std::size_t bytes);

/// Does `work` when it is the stream's turn. False: the stream is captured, and the call fails
/// (`fail_captured_call`); `last_error` says so.
bool enqueue(CUstream_st* stream, std::function<void()> work);

/// The number of this thread's last error; 0: there was none since it was set to 0.
int& last_error();

/// Between host and device as the CUDA runtime does it: pinned memory is read and written when it
/// is the stream's turn; other memory is read at once, and written before the call returns, which
/// is a wait. The process ends where a device address is not the device's.
/// False: as `enqueue`.
bool copy_to_device(void* to, const void* from, std::size_t bytes, CUstream_st* stream);
bool copy_to_host(void* to, const void* from, std::size_t bytes, CUstream_st* stream);
bool copy_on_device(void* to, const void* from, std::size_t bytes, CUstream_st* stream);
bool fill(void* to, int value, std::size_t bytes, CUstream_st* stream);

/// A stream that this thread owns.
CUstream_st* make_stream();
void destroy_stream(CUstream_st* stream);

/// From here on what the stream is told is recorded instead, until the end, which gives it, or null
/// where a call has failed or captures are refused. As on a GPU the null stream is not recorded,
/// and waits, allocations and copies from or to memory that is not pinned end the process
/// meanwhile.
void begin_capture(CUstream_st* stream);
CUgraph_st* end_capture(CUstream_st* stream);
CUgraph_st* copy_graph(const CUgraph_st* graph);
void destroy_graph(CUgraph_st* graph);
/// Tells the stream all that was recorded.
void launch_graph(const CUgraph_st* graph, CUstream_st* stream);

/// Runs all that the stream was told.
void wait(CUstream_st* stream);
/// Runs one thing that it was told; false: there was none, which a wait has come to.
bool advance(CUstream_st* stream);

}  // namespace rubato::emulation
