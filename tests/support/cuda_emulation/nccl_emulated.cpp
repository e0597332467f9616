#include <nccl.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "parallel/communicator.h"
#include "runtime/base/check.h"
#include "tests/support/cuda_emulation/device.h"

namespace rubato::emulation {

constexpr std::chrono::seconds kNcclPatience{60};

/// What a rank comes with.
struct NcclCall {
  std::string_view name;
  std::size_t bytes = 0;
  const void* in = nullptr;
  void* out = nullptr;
};

/// Threads that meet, call by call. The last to come does the work of all.
class NcclGroup {
 public:
  static constexpr std::string_view kStart = "the start", kSum = "an all-reduce",
                                    kGather = "an all-gather";

  explicit NcclGroup(int size) : calls_(size) {}

  int size() const { return static_cast<int>(calls_.size()); }

  void meet(int rank, const NcclCall& call) {
    std::unique_lock lock(mutex_);
    calls_[rank] = call;
    if (++arrived_ == size()) {
      perform();
      arrived_ = 0;
      ++generation_;
      changed_.notify_all();
      return;
    }
    const bool all = changed_.wait_for(
        lock, kNcclPatience, [&, mine = generation_] { return generation_ != mine; });
    RUBATO_CHECK(all, "rank ", rank, " waits for the others in ", call.name);
  }

 private:
  void perform() {
    for (int rank = 1; rank < size(); ++rank) {
      RUBATO_CHECK(calls_[rank].name == calls_[0].name && calls_[rank].bytes == calls_[0].bytes,
                   "rank 0 calls ",
                   calls_[0].name,
                   " of ",
                   calls_[0].bytes,
                   " bytes, rank ",
                   rank,
                   " ",
                   calls_[rank].name,
                   " of ",
                   calls_[rank].bytes);
    }
    const std::size_t bytes = calls_[0].bytes;
    std::vector<std::byte> parts(bytes * size());
    for (int rank = 0; rank < size() && bytes > 0; ++rank)
      std::memcpy(parts.data() + rank * bytes, calls_[rank].in, bytes);
    if (calls_[0].name == kSum) {
      const auto count = static_cast<std::int64_t>(bytes / sizeof(float));
      std::vector<float> sum(count);
      detail::tree_sum(
          reinterpret_cast<const float*>(parts.data()), size(), count, sum.data(), count);
      std::memcpy(parts.data(), sum.data(), bytes);
      parts.resize(bytes);
    }
    for (const NcclCall& call : calls_) {
      if (!parts.empty()) std::memcpy(call.out, parts.data(), parts.size());
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<NcclCall> calls_;  // by rank
  int arrived_ = 0;
  std::uint64_t generation_ = 0;
};

/// The group of that id, which the first of its ranks to come makes.
std::shared_ptr<NcclGroup> group_of(std::uint64_t id, int size) {
  static std::mutex mutex;
  static std::map<std::uint64_t, std::shared_ptr<NcclGroup>> groups;
  const std::scoped_lock lock(mutex);
  std::shared_ptr<NcclGroup>& group = groups[id];
  if (group == nullptr) group = std::make_shared<NcclGroup>(size);
  RUBATO_CHECK(group->size() == size, "a group of ", group->size(), " and of ", size);
  return group;
}

}  // namespace rubato::emulation

struct ncclComm {
  std::shared_ptr<rubato::emulation::NcclGroup> group;
  int rank;
};

namespace {

ncclResult_t enqueue_collective(ncclComm_t communicator,
                                const rubato::emulation::NcclCall& call,
                                CUstream_st* stream) {
  const std::size_t out = call.name == rubato::emulation::NcclGroup::kSum
                              ? call.bytes
                              : call.bytes * communicator->group->size();
  rubato::emulation::check_device(call.in, call.bytes);
  rubato::emulation::check_device(call.out, out);
  const bool told = rubato::emulation::enqueue(
      stream,
      [group = communicator->group, rank = communicator->rank, call] { group->meet(rank, call); });
  return told ? ncclSuccess : ncclUnhandledCudaError;
}

}  // namespace

const char* ncclGetErrorString(ncclResult_t result) {
  return result == ncclSuccess ? "no error" : "unhandled cuda error";
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static std::mutex mutex;
  static std::uint64_t next = 0;
  const std::scoped_lock lock(mutex);
  *id = {};
  std::memcpy(id->internal, &++next, sizeof next);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t* communicator, int ranks, ncclUniqueId id, int rank) {
  std::uint64_t number = 0;
  std::memcpy(&number, id.internal, sizeof number);
  auto made = std::make_unique<ncclComm>(rubato::emulation::group_of(number, ranks), rank);
  made->group->meet(rank, {.name = rubato::emulation::NcclGroup::kStart});
  *communicator = made.release();
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t) {
  return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t communicator) {
  const std::unique_ptr<ncclComm> owned(communicator);
  return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t, ncclResult_t* result) {
  *result = ncclSuccess;
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* in,
                           void* out,
                           std::size_t count,
                           ncclDataType_t type,
                           ncclRedOp_t,
                           ncclComm_t communicator,
                           CUstream_st* stream) {
  RUBATO_CHECK(type == ncclFloat);
  return enqueue_collective(
      communicator, {rubato::emulation::NcclGroup::kSum, count * sizeof(float), in, out}, stream);
}

ncclResult_t ncclAllGather(const void* in,
                           void* out,
                           std::size_t count,
                           ncclDataType_t type,
                           ncclComm_t communicator,
                           CUstream_st* stream) {
  RUBATO_CHECK(type == ncclUint8);
  return enqueue_collective(
      communicator, {rubato::emulation::NcclGroup::kGather, count, in, out}, stream);
}
